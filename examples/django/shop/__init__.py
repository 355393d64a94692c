"""A Django project with a Celery app of its own. Its worker is `celery -A shop worker`, mailworker's is another one."""

from .tasks import app as celery_app

__all__ = ["celery_app"]
