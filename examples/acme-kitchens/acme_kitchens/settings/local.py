"""A laptop: SQLite, no services, nothing to set."""

from .base import *  # noqa: F403
from .base import BASE_DIR, STORAGES, env

DEBUG = True
SECRET_KEY = env("DJANGO_SECRET_KEY", "local-only-and-worth-nothing-" + "0" * 32)
ALLOWED_HOSTS = ["*"]

DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE_DIR / "db.sqlite3"}}
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
STORAGES = STORAGES | {"staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}}

WAGTAILADMIN_BASE_URL = env("WAGTAILADMIN_BASE_URL", "http://localhost:8000")
EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"
