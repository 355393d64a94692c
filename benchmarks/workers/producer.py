"""Times calls in a producer: `send_email.delay()`, and a bare `apply_async` of the same mail, in turn.

Prints {name: [seconds, …]} as its last line. No worker runs, so what a call left is taken away before the next one:
else mailworker would stop ringing after a while, and be the cheaper for it.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable

import redis

from mailworker import send_email

from ..payloads import mail, token
from .celery_plain import send_mail
from .common import redis_url


def main(calls: int) -> None:
    client = redis.Redis.from_url(redis_url())

    def timed(call: Callable[[], object]) -> float:
        begun = time.perf_counter()
        call()
        took = time.perf_counter() - begun
        left = [*client.keys("mailworker:*"), "mailworker", "mailworker.bridge", "celery"]
        client.delete(*left)
        return took

    ours, bare = [], []
    for number in range(calls):
        arguments = mail(token("0", number))
        ours.append(timed(lambda arguments=arguments: send_email.delay(**arguments)))
        bare.append(timed(lambda arguments=arguments: send_mail.apply_async(kwargs=arguments)))
    print(json.dumps({"`send_email.delay()`": ours, "bare `apply_async`": bare}))


if __name__ == "__main__":
    main(int(sys.argv[1]))
