"""The pages, the demonstration's content and the settings."""

import os
import subprocess
import sys
from io import BytesIO, StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import RequestFactory, SimpleTestCase, TestCase, override_settings
from django.test.utils import CaptureQueriesContext
from django.urls import resolve
from PIL import Image
from wagtail.images import get_image_model
from wagtail.models import Page, Site

from acme_kitchens.views import slow
from home import demo
from home.drawings import SCENES, draw
from home.models import ProjectPage

SMALL = BytesIO()
Image.new("RGB", (180, 120), "#2f4f43").save(SMALL, "JPEG")


def seed(**options: Any) -> str:
    """The demonstration with plain pictures: drawing the real ones takes most of a minute."""
    out = StringIO()
    with patch("home.management.commands.seed_demo.draw", return_value=SMALL.getvalue()):
        call_command("seed_demo", stdout=out, **options)
    return out.getvalue()


class SiteCase(TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        media = TemporaryDirectory()
        cls.addClassCleanup(media.cleanup)
        overrides = override_settings(MEDIA_ROOT=media.name, CELERY_BROKER_URL=None, SITE_DOMAIN="acme.example.com")
        overrides.enable()
        cls.addClassCleanup(overrides.disable)
        super().setUpClass()


class EmptySiteTests(SiteCase):
    def test_a_migrated_site_without_content_serves(self) -> None:
        for path in ("/", "/sitemap.xml", "/robots.txt", "/admin/login/"):
            self.assertEqual(self.client.get(path).status_code, 200, path)

    def test_the_admin_password_comes_from_the_environment(self) -> None:
        with patch.dict(os.environ), self.assertRaisesMessage(CommandError, "ADMIN_PASSWORD"):
            os.environ.pop("ADMIN_PASSWORD", None)
            seed(admin="editor")
        self.assertFalse(ProjectPage.objects.exists())
        with patch.dict(os.environ, ADMIN_PASSWORD="a-long-enough-one"):
            said = seed(admin="editor", no_warm=True)
        self.assertNotIn("a-long-enough-one", said)
        self.assertTrue(get_user_model().objects.get(username="editor").check_password("a-long-enough-one"))


class DemoSiteTests(SiteCase):
    @classmethod
    def setUpTestData(cls) -> None:
        cls.said = seed()

    def test_it_says_what_it_did(self) -> None:
        self.assertIn(f"pictures: {len(demo.PICTURES)} drawn", self.said)
        self.assertIn("pages: 20 made", self.said)

    def test_every_page_renders(self) -> None:
        pages = Page.objects.live().filter(depth__gte=2)
        self.assertGreaterEqual(pages.count(), 18)
        for page in pages:
            response = self.client.get(page.get_url())
            self.assertEqual(response.status_code, 200, page.get_url())

    def test_home_shows_pictures_with_their_size(self) -> None:
        html = self.client.get("/").content.decode()
        self.assertIn(demo.HOME["headline"], html)
        self.assertIn('<link rel="canonical" href="https://acme.example.com/">', html)
        images = [tag.split(">")[0] for tag in html.split("<img ")[1:]]
        self.assertGreater(len(images), 7)
        for image in images:
            for attribute in ("alt=", "width=", "height="):
                self.assertIn(attribute, image)
        self.assertIn('loading="lazy"', html)

    def test_the_menu_knows_where_one_is(self) -> None:
        html = self.client.get("/projects/mill-lane/").content.decode()
        self.assertInHTML('<a href="/projects/" aria-current="true">Projects</a>', html)

    def test_home_asks_few_questions(self) -> None:
        self.client.get("/")
        with CaptureQueriesContext(connection) as queries:
            self.client.get("/")
        self.assertLessEqual(len(queries), 14)

    def test_again_changes_nothing(self) -> None:
        before = list(Page.objects.order_by("pk").values_list("pk", "url_path", "last_published_at"))
        images = set(get_image_model().objects.values_list("pk", "file"))
        said = seed()
        self.assertEqual(list(Page.objects.order_by("pk").values_list("pk", "url_path", "last_published_at")), before)
        self.assertEqual(set(get_image_model().objects.values_list("pk", "file")), images)
        self.assertIn("pages: 0 made", said)
        self.assertIn("as it was", said)

    def test_again_leaves_an_editors_work_alone(self) -> None:
        page = ProjectPage.objects.get(slug="mill-lane")
        page.title = "Mill Lane, again"
        page.save_revision().publish()
        seed()
        self.assertEqual(ProjectPage.objects.get(slug="mill-lane").title, "Mill Lane, again")

    def test_a_lost_picture_is_drawn_again_under_its_name(self) -> None:
        image = get_image_model().objects.get(title="Demo: plan")
        path = Path(image.file.path)
        path.unlink()
        self.assertIn("1 restored", seed())
        self.assertTrue(path.exists())

    def test_sitemap(self) -> None:
        response = self.client.get("/sitemap.xml")
        self.assertEqual(response.status_code, 200)
        self.assertIn("application/xml", response["Content-Type"])
        for page in ("", "projects/mill-lane/", "journal/oil-it-once-a-year/", "contact/"):
            self.assertContains(response, f"<loc>https://acme.example.com/{page}</loc>")

    def test_the_site_has_its_address(self) -> None:
        site = Site.objects.get(is_default_site=True)
        self.assertEqual((site.hostname, site.port), ("acme.example.com", 443))

    def test_not_found(self) -> None:
        response = self.client.get("/nothing-here/")
        self.assertContains(response, "This drawer is empty", status_code=404)

    def test_robots(self) -> None:
        self.assertContains(self.client.get("/robots.txt", secure=True), "Sitemap: https://testserver/sitemap.xml")

    def test_the_task_renders_every_page(self) -> None:
        from home.tasks import warm_renditions

        self.assertEqual(warm_renditions(), 21)
        self.assertEqual(warm_renditions(Page.objects.get(slug="about").pk), 1)

    def test_publishing_queues_the_task_and_survives_without_a_broker(self) -> None:
        page = Page.objects.get(slug="about").specific
        with (
            override_settings(CELERY_BROKER_URL="redis://127.0.0.1:1/0"),
            patch("home.tasks.warm_renditions.apply_async", side_effect=ConnectionError("refused")) as queue,
            self.assertLogs("home.signals", "WARNING"),
            self.captureOnCommitCallbacks(execute=True),
        ):
            page.save_revision().publish()
        queue.assert_called_once_with(args=[page.pk], retry=False)


class DrawingTests(SimpleTestCase):
    def test_the_same_name_gives_the_same_picture(self) -> None:
        first, again = (draw("one", demo.OCHRE, "dial") for _ in range(2))
        self.assertEqual(first, again)
        self.assertEqual(Image.open(BytesIO(first)).size, (1600, 1066))

    def test_every_picture_has_a_scene(self) -> None:
        self.assertLessEqual({scene for _, scene, _, _ in demo.PICTURES.values()}, set(SCENES))


class SlowViewTests(SimpleTestCase):
    def test_it_is_not_there_unless_asked_for(self) -> None:
        if settings.SLOW_VIEW:
            self.skipTest("ACME_SLOW_VIEW is set")
        # Wagtail's catch-all takes it for a page, of which there is none.
        self.assertEqual(resolve("/slow/").view_name, "wagtail_serve")

    def test_it_waits(self) -> None:
        for query, seconds in (("s=3", 3), ("", 5), ("s=9999", 120), ("s=-1", 0)):
            with patch("acme_kitchens.views.time.sleep") as sleep:
                self.assertEqual(slow(RequestFactory().get(f"/slow/?{query}")).status_code, 200)
            sleep.assert_called_once_with(seconds)
        self.assertEqual(slow(RequestFactory().get("/slow/?s=long")).status_code, 400)


class ProductionSettingsTests(SimpleTestCase):
    """In a process of their own: settings are read once."""

    def run_with(self, code: str, **env: str) -> subprocess.CompletedProcess[str]:
        keep = {name: os.environ[name] for name in ("PATH", "LANG", "LD_LIBRARY_PATH") if name in os.environ}
        return subprocess.run(
            [sys.executable, "-c", code],
            cwd=settings.BASE_DIR,
            env={**keep, "DJANGO_SETTINGS_MODULE": "acme_kitchens.settings.production", **env},
            capture_output=True,
            text=True,
            timeout=60,
        )

    def test_they_refuse_to_start_without_a_secret(self) -> None:
        for env in ({}, {"DJANGO_SECRET_KEY": ""}):
            result = self.run_with("import django; django.setup()", ALLOWED_HOSTS="acme.example.com", **env)
            self.assertNotEqual(result.returncode, 0)
            self.assertIn("DJANGO_SECRET_KEY is not set", result.stderr)

    def test_they_refuse_to_start_without_hosts(self) -> None:
        result = self.run_with("import django; django.setup()", DJANGO_SECRET_KEY="x" * 60)
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("ALLOWED_HOSTS is not set", result.stderr)

    def test_check_deploy_has_nothing_to_say(self) -> None:
        result = self.run_with(
            "from django.core.management import execute_from_command_line as run;"
            "run(['manage.py', 'check', '--deploy', '--fail-level', 'WARNING'])",
            DJANGO_SECRET_KEY="abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ",
            ALLOWED_HOSTS="acme.example.com",
        )
        self.assertEqual(result.returncode, 0, result.stderr)

    def test_the_environment_comes_through(self) -> None:
        result = self.run_with(
            "from django.conf import settings as s;"
            "print(s.GIT_SHA, s.BUILD_ID, s.RELEASE, s.STATIC_ROOT, s.MEDIA_ROOT, s.DATABASES['default']['PORT'],"
            " s.ALLOWED_HOSTS, s.CELERY_BROKER_URL)",
            DJANGO_SECRET_KEY="x" * 60,
            ALLOWED_HOSTS="a.example, b.example,",
            GIT_SHA="abc",
            BUILD_ID="7",
            RELEASE="r1",
            DJANGO_STATIC_ROOT="/s",
            DJANGO_MEDIA_ROOT="/m",
            DJANGO_DB_PORT="5433",
            CELERY_BROKER_URL="",
        )
        self.assertEqual(result.stdout.strip(), "abc 7 r1 /s /m 5433 ['a.example', 'b.example'] None", result.stderr)

    def test_starting_does_not_load_celery_or_the_drawings(self) -> None:
        result = self.run_with(
            "import sys, acme_kitchens.wsgi;"
            "print([m for m in ('celery', 'kombu', 'redis', 'home.drawings', 'home.demo') if m in sys.modules])",
            DJANGO_SECRET_KEY="x" * 60,
            ALLOWED_HOSTS="acme.example.com",
        )
        self.assertEqual(result.stdout.strip(), "[]", result.stderr)
