"""The Celery application: `celery -A acme_kitchens worker`.

Nothing imports this module while the site starts. Web workers load it when they first send a
task or are asked for their health, so a site without a broker never pays for it.
"""

import os
from typing import Any

from celery import Celery
from celery.worker.control import inspect_command

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "acme_kitchens.settings.production")

app = Celery("acme_kitchens")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@inspect_command(name="release")
def release(state: Any) -> dict[str, str]:
    """Say which release this worker runs, so that a probe can tell it was really restarted."""
    from django.conf import settings

    return {"release": settings.RELEASE, "git_sha": settings.GIT_SHA}
