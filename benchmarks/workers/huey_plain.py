"""A huey task with smtplib in it."""

from __future__ import annotations

from huey import RedisHuey  # type: ignore[import-untyped]

from .common import redis_url, send

huey = RedisHuey("plain", url=redis_url(), results=False)


@huey.task()  # type: ignore[untyped-decorator]
def send_mail(address: str, name: str, subject: str, body: str) -> None:
    send(address, name, subject, body)


def take(mail: dict[str, str]) -> None:
    send_mail(**mail)
