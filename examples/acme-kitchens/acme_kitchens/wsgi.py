"""The WSGI entry point for gunicorn: `acme_kitchens.wsgi:application`."""

import os

from django.core.wsgi import get_wsgi_application
from django.urls import get_resolver

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "acme_kitchens.settings.production")

application = get_wsgi_application()

# Django loads the URLconf, and with it the whole of Wagtail's admin, on a worker's first
# request. A health probe reaches only one of several workers; the others would leave that
# second to the first visitor after a deploy. So each worker pays before it listens.
get_resolver().url_patterns  # noqa: B018
