"""The two pages that are no content."""

import time

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.cache import never_cache

SLOWEST = 120.0


def robots(request: HttpRequest) -> HttpResponse:
    sitemap = request.build_absolute_uri(reverse("sitemap"))
    lines = ["User-agent: *", "Disallow: /admin/", "Disallow: /health/", f"Sitemap: {sitemap}", ""]
    return HttpResponse("\n".join(lines), content_type="text/plain; charset=utf-8")


@never_cache
def slow(request: HttpRequest) -> HttpResponse:
    """Hold a request for `s` seconds: something to have in flight while a release is replaced."""
    try:
        seconds = min(max(float(request.GET.get("s", "5")), 0.0), SLOWEST)
    except ValueError:
        return HttpResponse("s is a number of seconds\n", status=400, content_type="text/plain")
    time.sleep(seconds)
    return HttpResponse(f"{seconds:g} s, {settings.RELEASE or 'no release'}\n", content_type="text/plain")
