"""What follows from an editor's work."""

import logging
from typing import Any

from django.conf import settings
from django.db import transaction
from django.dispatch import receiver
from wagtail.signals import page_published

logger = logging.getLogger(__name__)


@receiver(page_published)
def warm_after_publishing(instance: Any, **kwargs: Any) -> None:
    """Have the pictures of a published page scaled before its first visitor asks for them."""
    if settings.CELERY_BROKER_URL:
        transaction.on_commit(lambda: send(instance.pk), robust=True)


def send(page_id: int) -> None:
    """Queue the task. Publishing must not fail, nor wait, because the broker is away."""
    from home.tasks import warm_renditions

    try:
        warm_renditions.apply_async(args=[page_id], retry=False)
    except Exception as error:
        logger.warning("renditions of page %s not queued: %s", page_id, type(error).__name__)
