"""A Celery task with smtplib in it, with Celery's defaults."""

from __future__ import annotations

from celery import Celery

from .common import redis_url, send

app = Celery("plain", broker=redis_url())
app.conf.task_ignore_result = True
app.conf.broker_connection_retry_on_startup = True


@app.task  # type: ignore[untyped-decorator]
def send_mail(address: str, name: str, subject: str, body: str) -> None:
    send(address, name, subject, body)


def take(mail: dict[str, str]) -> None:
    send_mail.delay(**mail)
