"""What happens to the pool's children while the broker is away."""

from __future__ import annotations

import os
from types import SimpleNamespace

from kombu.asynchronous import Hub

from mailworker.worker.prefork import Pool


def test_a_child_that_ended_while_the_broker_was_away_does_not_end_the_worker() -> None:
    """Its sentinel was read and is closed, and it still stands in the pool when Celery has connected again (2 workers
    in 300 random kills): stock Celery ends with ValueError("file descriptor is None")."""
    pool, hub = Pool.__new__(Pool), Hub()
    sentinel, other = os.pipe()
    child = SimpleNamespace(_popen=SimpleNamespace(sentinel=sentinel))
    try:
        pool._track_child_process(child, hub)
        assert len(hub.readers) == 1
        pool._untrack_child_process(child, hub)
        assert not hub.readers
        pool._track_child_process(child, hub)
        assert not hub.readers
    finally:
        hub.close()
        os.close(sentinel)
        os.close(other)
