"""Scaling pictures ahead of the visitors."""

from django.test import RequestFactory
from wagtail.models import Page, Site


def warm(page_id: int | None = None) -> int:
    """Render all pages, or one, and thereby scale every picture they show. Returns their number.

    The templates decide which sizes there are. Rendering them is the one way to ask for exactly
    those, without a second list of them that would have to be kept in step.
    """
    site = Site.objects.filter(is_default_site=True).select_related("root_page").first()
    if site is None:
        return 0
    pages = Page.objects.live().descendant_of(site.root_page, inclusive=True)
    if page_id is not None:
        pages = pages.filter(pk=page_id)
    factory = RequestFactory(SERVER_NAME=site.hostname, SERVER_PORT=str(site.port))
    warmed = 0
    for page in pages.specific():
        response = page.serve(factory.get(page.url or "/", secure=site.port == 443))
        response.render()
        warmed += 1
    return warmed
