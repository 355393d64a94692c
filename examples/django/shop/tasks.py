"""The project's own tasks. One of them sends mail: what it passes is in the spool when the call returns."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
app = Celery("shop")
app.config_from_object("django.conf:settings", namespace="CELERY")


@app.task
def remind(address: str) -> str:
    """Days later."""
    from mailworker import send_email  # noqa: PLC0415 - settings are read when Django has its own

    return send_email.delay(address, "How was it?", "Tell us.").id
