"""What /health/ asks of the database, the cache and Celery, and how long each may take.

A check that hangs is worse than one that fails: it takes a worker with it. So each opens its own
connection, or uses one with time-outs, and none waits for longer than about two seconds.
"""

import re
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote, urlsplit
from uuid import uuid4

from django.conf import settings
from django.core.cache import cache
from django.db import connections

CELERY_CONNECT_SECONDS = 0.4
CELERY_REPLY_SECONDS = 1.0


def check_db() -> dict[str, Any]:
    """Log in anew and run a query. A connection left over from an earlier request would prove
    neither that the server still takes logins nor would it give up when the server is frozen."""
    connection = connections["default"].copy()
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            cursor.fetchone()
    finally:
        connection.close()
    return {"detail": connection.vendor}


def check_cache() -> dict[str, Any]:
    """Write a value, read it back: a full or read-only cache answers PING too."""
    key, value = f"health:{uuid4().hex}", uuid4().hex
    cache.set(key, value, timeout=10)
    found = cache.get(key)
    cache.delete(key)
    if found != value:
        raise RuntimeError("a value written a moment ago did not come back")
    return {"detail": settings.CACHES["default"]["BACKEND"].rsplit(".", 1)[-1]}


def check_celery() -> dict[str, Any]:
    """Ask the workers which release they run, and take the first answer.

    A worker of another release is no failure: during a deploy the new release is asked before its
    worker has been started. It is told, so that whoever restarts the worker can see it happen.
    """
    from acme_kitchens.celery import app

    bounds = {
        "socket_connect_timeout": CELERY_CONNECT_SECONDS,
        "socket_timeout": CELERY_REPLY_SECONDS + 0.2,
        "max_retries": 0,
    }
    with app.connection_for_write(
        connect_timeout=CELERY_CONNECT_SECONDS,
        transport_options={**(app.conf.broker_transport_options or {}), **bounds},
    ) as connection:
        try:
            connection.ensure_connection(max_retries=0)
        except Exception as error:
            raise RuntimeError(f"broker unreachable: {describe(error)}") from error
        replies = app.control.broadcast(
            "release", reply=True, limit=1, timeout=CELERY_REPLY_SECONDS, connection=connection
        )
    if not replies:
        raise RuntimeError(f"no worker answered within {CELERY_REPLY_SECONDS:g} s")
    worker, answer = next(iter(replies[0].items()))
    release = answer.get("release", "") if isinstance(answer, dict) else ""
    detail = f"{worker} runs {release or 'a release without a name'}"
    if release != settings.RELEASE:
        detail += f", this is {settings.RELEASE or 'a release without a name'}"
    return {"detail": detail, "release": release}


def run(check: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Run one check and time it. Whatever goes wrong is an answer, never a 500."""
    started = time.perf_counter()
    try:
        result = {"status": "ok", **check()}
    except Exception as error:
        result = {"status": "fail", "detail": describe(error)}
    result["latency_ms"] = round((time.perf_counter() - started) * 1000, 1)
    return result


def describe(error: BaseException) -> str:
    """One line about an error, without the secrets that drivers like to repeat."""
    lines = str(error).strip().splitlines()
    text = lines[0] if lines else ""
    if not isinstance(error, RuntimeError):
        text = f"{type(error).__name__}: {text}".rstrip(": ")
    for secret in secrets():
        text = text.replace(secret, "***")
    return re.sub(r"://[^/\s@]*@", "://***@", text)[:300]


def secrets() -> list[str]:
    """Every password in the settings that an error message could carry, longest first."""
    found = {settings.SECRET_KEY, settings.DATABASES["default"].get("PASSWORD")}
    for url in (settings.REDIS_URL, settings.CELERY_BROKER_URL, settings.CELERY_RESULT_BACKEND):
        password = urlsplit(url or "").password
        found |= {password, unquote(password or "")}
    return sorted((s for s in found if s), key=len, reverse=True)
