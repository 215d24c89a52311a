"""GET /health/: is this release fit to serve, and which release is it?"""

from django.conf import settings
from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from health import checks


@never_cache
@require_safe
def health(request: HttpRequest) -> JsonResponse:
    """`ok` and `degraded` are 200: the site serves. `unhealthy` is 503: it cannot."""
    results = {"db": checks.run(checks.check_db), "cache": checks.run(checks.check_cache)}
    if settings.CELERY_BROKER_URL:
        results["celery"] = checks.run(checks.check_celery)

    failed = {name for name, result in results.items() if result["status"] != "ok"}
    if failed & {"db", "cache"}:
        status = "unhealthy"
    elif failed:
        status = "degraded"
    else:
        status = "ok"

    return JsonResponse(
        {
            "status": status,
            "version": {
                "git_sha": settings.GIT_SHA or None,
                "build": settings.BUILD_ID or None,
                "release": settings.RELEASE or None,
            },
            "checks": results,
            "timestamp": timezone.now().isoformat(timespec="milliseconds"),
        },
        status=503 if status == "unhealthy" else 200,
    )
