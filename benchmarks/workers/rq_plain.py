"""An RQ job with smtplib in it. SimpleWorker, because RQ's own forks for each job and could keep no connection."""

from __future__ import annotations

import redis
from rq import Queue
from rq.worker import SimpleWorker

from .common import redis_url, send

queue = Queue(connection=redis.Redis.from_url(redis_url()))


def take(mail: dict[str, str]) -> None:
    queue.enqueue(send, kwargs=mail, result_ttl=0)


if __name__ == "__main__":
    SimpleWorker([queue], connection=queue.connection).work(logging_level="WARNING")
