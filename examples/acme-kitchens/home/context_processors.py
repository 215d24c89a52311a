"""What every page's frame needs."""

from typing import Any

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject
from wagtail.models import Site


def navigation(request: HttpRequest) -> dict[str, Any]:
    """The pages of the menu. Lazy: the admin renders templates too and never asks."""

    def load() -> list[Any]:
        site = Site.find_for_request(request)
        if site is None:
            return []
        items = list(site.root_page.get_children().live().in_menu())
        for item in items:
            url = item.get_url(request, current_site=site) or ""
            item.current = "page" if request.path == url else "true" if url and request.path.startswith(url) else ""
        return items

    return {"navigation": SimpleLazyObject(load)}
