"""The popping loop in front of a task queue: `python -m benchmarks.workers.feed celery_plain`."""

from __future__ import annotations

import importlib
import sys

from .common import pop_for_ever

if __name__ == "__main__":
    # By its name: a queue that notes where a task is defined must not note __main__.
    pop_for_ever(importlib.import_module(f"benchmarks.workers.{sys.argv[1]}").take)
