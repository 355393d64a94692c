"""Times calls in a producer: `send_email.delay()`, and a bare `apply_async` of the same mail, in turn.

Prints {name: [seconds, …]} as its last line. No worker runs, so what a call left is taken away before the next one:
else mailworker would stop ringing after a while, and be the cheaper for it. The version of the spool's format stays:
only the first call of all finds none.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import redis

from mailworker import send_email

from ..payloads import mail, token
from .celery_plain import app
from .common import redis_url


@app.task(name="send_email")  # type: ignore[untyped-decorator]
def send_mail(to: dict[str, str], subject: str, body: str) -> None:
    """The same mail as a plain task's arguments."""


def main(calls: int) -> None:
    client: Any = redis.Redis.from_url(redis_url())

    def timed(call: Callable[..., object], *positional: object, **named: object) -> float:
        begun = time.perf_counter()
        call(*positional, **named)
        took = time.perf_counter() - begun
        ours = [key for key in client.keys("mailworker:*") if key != b"mailworker:format"]
        left = [*ours, "mailworker", "mailworker.bridge", "celery"]
        client.delete(*left)
        return took

    spooled, bare = [], []
    for number in range(calls):
        arguments = mail(token("0", number))
        spooled.append(timed(send_email.delay, **arguments))
        bare.append(timed(send_mail.apply_async, kwargs=arguments))
    print(json.dumps({"`send_email.delay()`": spooled, "bare `apply_async`": bare}))


if __name__ == "__main__":
    main(int(sys.argv[1]))
