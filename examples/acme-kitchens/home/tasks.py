"""Work for Celery."""

import logging

from acme_kitchens.celery import app

logger = logging.getLogger(__name__)


@app.task
def warm_renditions(page_id: int | None = None) -> int:
    """Scale the pictures of one page, or of all, in the worker instead of in a visitor's request."""
    from home.renditions import warm

    warmed = warm(page_id)
    logger.info("renditions warmed for %d pages", warmed)
    return warmed
