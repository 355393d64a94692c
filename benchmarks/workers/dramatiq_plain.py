"""A dramatiq actor with smtplib in it, with dramatiq's defaults."""

from __future__ import annotations

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from .common import redis_url, send

dramatiq.set_broker(RedisBroker(url=redis_url()))  # type: ignore[no-untyped-call]


@dramatiq.actor
def send_mail(address: str, name: str, subject: str, body: str) -> None:
    send(address, name, subject, body)


def take(mail: dict[str, str]) -> None:
    send_mail.send(**mail)
