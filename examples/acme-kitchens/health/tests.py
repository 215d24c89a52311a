"""The health contract, state by state, without a single service running."""

import json
from typing import Any
from unittest.mock import patch

from django.conf import settings
from django.db.utils import OperationalError
from django.test import SimpleTestCase, TestCase, override_settings

from health import checks

RELEASE = {"GIT_SHA": "0123abc", "BUILD_ID": "42", "RELEASE": "20260102T030405Z-0123abc"}


def broken(message: str, kind: type[Exception] = ConnectionError) -> Any:
    def check() -> dict[str, Any]:
        raise kind(message)

    return check


@override_settings(CELERY_BROKER_URL=None, **RELEASE)
class HealthTests(TestCase):
    def get(self, expected: int) -> dict[str, Any]:
        response = self.client.get("/health/")
        self.assertEqual(response.status_code, expected)
        self.assertEqual(response["Content-Type"], "application/json")
        self.assertIn("no-store", response["Cache-Control"])
        return json.loads(response.content)

    def test_ok(self) -> None:
        answer = self.get(200)
        self.assertEqual(answer["status"], "ok")
        self.assertEqual(set(answer), {"status", "version", "checks", "timestamp"})
        self.assertEqual(set(answer["checks"]), {"db", "cache"})
        for result in answer["checks"].values():
            self.assertEqual(set(result), {"status", "latency_ms", "detail"})
            self.assertGreaterEqual(result["latency_ms"], 0)

    def test_says_which_release_answers(self) -> None:
        self.assertEqual(
            self.get(200)["version"],
            {"git_sha": "0123abc", "build": "42", "release": "20260102T030405Z-0123abc"},
        )

    def test_head_is_answered_and_post_is_not(self) -> None:
        self.assertEqual(self.client.head("/health/").status_code, 200)
        self.assertEqual(self.client.post("/health/").status_code, 405)

    def test_database_down_is_unhealthy(self) -> None:
        with patch.object(checks, "check_db", broken("connection refused", OperationalError)):
            answer = self.get(503)
        self.assertEqual(answer["status"], "unhealthy")
        self.assertEqual(answer["checks"]["db"]["status"], "fail")
        self.assertIn("connection refused", answer["checks"]["db"]["detail"])
        self.assertEqual(answer["checks"]["cache"]["status"], "ok")

    def test_cache_down_is_unhealthy(self) -> None:
        with patch("health.checks.cache.set", side_effect=ConnectionError("Error 111 connecting")):
            answer = self.get(503)
        self.assertEqual(answer["status"], "unhealthy")
        self.assertEqual(answer["checks"]["cache"]["status"], "fail")

    @override_settings(CACHES={"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}})
    def test_a_cache_that_forgets_is_unhealthy(self) -> None:
        self.assertIn("did not come back", self.get(503)["checks"]["cache"]["detail"])

    @override_settings(CELERY_BROKER_URL="redis://127.0.0.1:1/0")
    def test_celery_failing_is_degraded(self) -> None:
        with patch.object(checks, "check_celery", broken("no worker answered within 1 s", RuntimeError)):
            answer = self.get(200)
        self.assertEqual(answer["status"], "degraded")
        self.assertEqual(answer["checks"]["celery"]["detail"], "no worker answered within 1 s")

    @override_settings(CELERY_BROKER_URL="redis://127.0.0.1:1/0")
    def test_critical_beats_degraded(self) -> None:
        with patch.object(checks, "check_celery", broken("x")), patch.object(checks, "check_db", broken("y")):
            self.assertEqual(self.get(503)["status"], "unhealthy")


@override_settings(CELERY_BROKER_URL="redis://:hunter2@127.0.0.1:1/0", **RELEASE)
class CeleryCheckTests(TestCase):
    """With kombu's in-memory broker in place of Redis, and the worker's answer made up."""

    def check(self, replies: list[dict[str, Any]] | None) -> dict[str, Any]:
        from kombu import Connection

        from acme_kitchens.celery import app

        def connection(**kwargs: Any) -> Connection:
            return Connection("memory://")

        with (
            patch.object(app, "connection_for_write", connection),
            patch.object(app.control, "broadcast", return_value=replies) as broadcast,
        ):
            result = checks.run(checks.check_celery)
        self.assertLessEqual(broadcast.call_args.kwargs["timeout"], 1.0)
        return result

    def test_a_worker_of_this_release(self) -> None:
        result = self.check([{"celery@host": {"release": RELEASE["RELEASE"]}}])
        self.assertEqual((result["status"], result["release"]), ("ok", RELEASE["RELEASE"]))
        self.assertEqual(result["detail"], f"celery@host runs {RELEASE['RELEASE']}")

    def test_a_worker_of_another_release_is_told(self) -> None:
        result = self.check([{"celery@host": {"release": "old"}}])
        self.assertEqual((result["status"], result["release"]), ("ok", "old"))
        self.assertEqual(result["detail"], f"celery@host runs old, this is {RELEASE['RELEASE']}")

    def test_no_worker(self) -> None:
        for replies in ([], None):
            result = self.check(replies)
            self.assertEqual(result["status"], "fail")
            self.assertEqual(result["detail"], "no worker answered within 1 s")

    def test_no_broker_and_no_long_wait(self) -> None:
        """Nothing listens on port 1: the refusal has to arrive within the bound, and without the password."""
        from kombu import Connection

        from acme_kitchens.celery import app

        def connection(**kwargs: Any) -> Connection:
            return Connection("redis://:hunter2@127.0.0.1:1/0", **kwargs)

        with patch.object(app, "connection_for_write", connection):
            result = checks.run(checks.check_celery)
        self.assertEqual(result["status"], "fail")
        self.assertTrue(result["detail"].startswith("broker unreachable: "), result["detail"])
        self.assertLess(result["latency_ms"], 1500)

    def test_the_worker_says_its_release(self) -> None:
        from acme_kitchens.celery import release

        self.assertEqual(release(None), {"release": RELEASE["RELEASE"], "git_sha": RELEASE["GIT_SHA"]})


class SecretTests(SimpleTestCase):
    @override_settings(
        REDIS_URL="redis://:p%40ss@cache/0",
        CELERY_BROKER_URL="redis://:br0ker@cache/1",
    )
    def test_no_detail_carries_a_password(self) -> None:
        error = "db-secret p@ss p%40ss br0ker at redis://user:unknown@elsewhere:6379/0 and no more\nline two"
        with patch.dict(settings.DATABASES["default"], PASSWORD="db-secret"):
            said = checks.describe(ConnectionError(error))
        for secret in ("db-secret", "p@ss", "p%40ss", "br0ker", "unknown", "line two"):
            self.assertNotIn(secret, said)
        self.assertIn("elsewhere:6379", said)
