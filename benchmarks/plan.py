"""Where the next limit is: 1, 10, 100 workers against one Redis. `python -m benchmarks.plan`

Measures what a mail costs a worker and Redis in a real run, then lets that many workers take turns at a Redis that
does one thing at a time. A worker is given a machine of its own; the relay is taken to keep up.
"""

from __future__ import annotations

import argparse
import heapq
import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from .contestants import all_contestants
from .run import Load, Result, backlog
from .stage import Failed, ended_politely

WORKERS: Final = (1, 2, 5, 10, 20, 50, 100)
_CYCLES: Final = 40


@dataclass(frozen=True)
class Costs:
    redis_seconds: float
    """Of Redis, for each mail."""
    worker_rate: float
    """Mails a second of one worker that never waits for Redis."""
    children: int
    mails_per_call: int
    """Mails that one script settles and commits: half a window."""


@dataclass(frozen=True)
class Plan:
    workers: int
    rate: float
    redis_busy: float
    wait: float
    """Seconds that a call stands in line at Redis."""


def simulate(costs: Costs, workers: int, seed: int = 1) -> Plan:
    """Children think (build, send) for a time around their mean, then stand in line at Redis, in turn."""
    chance = random.Random(seed)
    children = workers * costs.children
    service = costs.redis_seconds * costs.mails_per_call
    think = max(0.0, costs.children * costs.mails_per_call / costs.worker_rate - service)
    arrivals = [chance.uniform(0, 2 * think) for _ in range(children)]
    heapq.heapify(arrivals)
    free, busy, waited, calls = 0.0, 0.0, 0.0, 0
    for _ in range(children * _CYCLES):
        at = heapq.heappop(arrivals)
        begin = max(at, free)
        free = begin + service
        busy += service
        waited += begin - at
        calls += 1
        heapq.heappush(arrivals, free + chance.uniform(0.5, 1.5) * think)
    return Plan(workers, calls * costs.mails_per_call / free, busy / free, waited / calls)


def _measured(runs: int, mails: int, append_only: bool) -> list[Result]:
    results = [backlog(all_contestants()["mailworker"], Load(mails, append_only=append_only)) for _ in range(runs)]
    good = [result for result in results if not result.failure]
    if not good:
        raise Failed(results[0].failure)
    return good


def _print(results: Sequence[Result], cores: int, window: int) -> None:
    redis_seconds = median(result.redis_cpu for result in results)
    worker_seconds = median(result.worker_cpu for result in results)
    octets = median(result.redis_octets for result in results)
    commands = median(result.redis_commands for result in results)
    print(f"A mail costs {worker_seconds * 1e6:.0f} µs of CPU in its worker and {redis_seconds * 1e6:.0f} µs in Redis,")
    print(f"{commands:.1f} commands there (those in scripts too), {octets:,.0f} octets to and from it.")
    print(f"So one core of Redis does {commands / redis_seconds:,.0f} of these commands a second, for")
    print(f"{1 / redis_seconds:,.0f} mails.")
    print(f"A worker has {cores} cores: {cores / worker_seconds:,.0f} mails/s at most.\n")
    print("| workers | mails/s | Redis busy | a call waits, ms | Mbit/s at Redis |")
    print("| ---: | ---: | ---: | ---: | ---: |")
    costs = Costs(redis_seconds, cores / worker_seconds, 5, max(1, window // 2))
    for workers in WORKERS:
        plan = simulate(costs, workers)
        megabits = plan.rate * octets * 8 / 1e6
        cells = f"{workers} | {plan.rate:,.0f} | {plan.redis_busy:.0%} | {plan.wait * 1000:.2f} | {megabits:,.0f}"
        print(f"| {cells} |")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.plan", description="Plans past one machine.")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--mails", type=int, default=10_000)
    parser.add_argument("--cores", type=int, default=2, help="of a worker's machine (2)")
    parser.add_argument("--window", type=int, default=4, help="MAILWORKER_SMTP_WINDOW (4)")
    parser.add_argument("--append-only", action="store_true", help="Redis with its append-only file")
    arguments = parser.parse_args()
    try:
        with ended_politely():
            _print(_measured(arguments.runs, arguments.mails, arguments.append_only), arguments.cores, arguments.window)
    except KeyboardInterrupt:
        return 130
    except Failed as failed:
        sys.exit(f"FAILED: {failed}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
