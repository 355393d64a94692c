"""The rows of the benchmark that look at one mail, one call, or none at all."""

from __future__ import annotations

import json
import random
import secrets
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import median, quantiles
from typing import Final

from .contestants import QUEUE, all_contestants, environment
from .payloads import entry, token
from .rows import Options
from .run import Load, Running, complaint, running
from .stage import Failed, Stage, cpu_seconds
from .table import Line, Table

PAUSE: Final = (0.02, 0.06)


def latency(options: Options) -> Table:
    """One entry on an idle system, to its acceptance. The contestants take turns, entry by entry."""
    entries = 40 if options.quick else 200
    names = options.chosen(["mailworker", "celery"])
    medians: dict[str, list[float | None]] = {name: [] for name in names}
    tails: dict[str, list[float | None]] = {name: [] for name in names}
    everyone = all_contestants()
    for _ in range(options.runs):
        with ExitStack() as stack:
            load = Load(0, options.manner(), options.processes, append_only=options.append_only)
            systems = {name: stack.enter_context(running(everyone[name], load)) for name in names}
            took = _taking_turns(systems, entries)
        for name, seconds in took.items():
            medians[name].append(median(seconds) * 1000)
            tails[name].append(quantiles(seconds, n=100)[98] * 1000)
    lines = [Line(f"{name}, median", medians[name]) for name in names]
    lines += [Line(f"{name}, 99th percentile", tails[name]) for name in names]
    title = f"One entry on an idle system, from push to acceptance ({entries} entries a run)"
    return Table("latency", title, "ms", lines)


def _taking_turns(systems: dict[str, Running], entries: int) -> dict[str, list[float]]:
    run = secrets.token_hex(4)
    names = [token(run, number) for number in range(entries)]
    pushed: dict[str, list[float]] = {name: [] for name in systems}
    for number, name in enumerate(names, 1):
        for who, system in systems.items():
            time.sleep(random.uniform(*PAUSE))  # the system is to be idle
            payload = entry(name)
            pushed[who].append(time.monotonic())
            system.server.client.lpush(QUEUE, payload)
            system.sink.wait(number)
    took = {}
    for who, system in systems.items():
        report = system.sink.report()
        if complaint(report, names):
            raise Failed(f"{who}: {complaint(report, names)}")
        took[who] = [at - then for (_, at), then in zip(report.seen, pushed[who], strict=True)]
    return took


def call(options: Options) -> Table:
    """What `.delay()` takes in a producer, against a bare `apply_async` of the same mail to the same Redis."""
    calls = 400 if options.quick else 2000
    lines: dict[str, list[float | None]] = {}
    for _ in range(options.runs):
        with Stage(options.append_only) as stage:
            server = stage.redis()
            variables = {"MAILWORKER_REDIS_URL": server.url, "BENCH_REDIS_URL": server.url}
            process = stage.start([sys.executable, "-m", "benchmarks.workers.producer", str(calls)], variables)
            if process.wait(calls * 0.1 + 30):
                raise Failed(stage.last_words())
            answer = json.loads(stage.log(1).read_text().splitlines()[-1])
        for name, seconds in answer.items():
            lines.setdefault(name, []).append(median(seconds) * 1e6)
    table = [Line(name, values) for name, values in lines.items()]
    return Table("delay", f"A call in a producer ({calls} of each, in turn)", "µs", table, (table[-1].name,))


def idle(options: Options) -> Table:
    """The CPU that a worker takes which has nothing to do."""
    seconds = 10.0
    shares: dict[str, list[float | None]] = {name: [] for name in options.chosen(["mailworker", "celery"])}
    for _ in range(options.runs):
        for name, values in shares.items():
            contestant = all_contestants()[name]
            with running(contestant, Load(0, options.manner(), options.processes)) as on:
                time.sleep(1)  # the warm-up is over, and this row is about time that passes
                before, begun = sum(cpu_seconds(process.pid) for process in on.processes), time.monotonic()
                time.sleep(seconds)
                used = sum(cpu_seconds(process.pid) for process in on.processes) - before
                on.check()
                values.append(100 * used / (time.monotonic() - begun))
    lines = [Line(name, values) for name, values in shares.items()]
    return Table("idle", f"A worker without work, over {seconds:g} s", "% of a core", lines)


def start(options: Options) -> Table:
    """How long the command and the worker take to be there."""
    helps: list[float | None] = []
    mails: list[float | None] = []
    contestant = all_contestants()["mailworker"]
    for _ in range(options.runs):
        with Stage() as stage:
            server, sink = stage.redis(), stage.sink(options.manner())
            variables = environment(contestant, server, sink)
            begun = time.monotonic()
            process = stage.start([str(Path(sys.executable).parent / "mailworker"), "--help"], variables)
            if process.wait(30):
                raise Failed(stage.last_words())
            helps.append(time.monotonic() - begun)
        with running(contestant, Load(0, options.manner(), options.processes)) as on:
            mails.append(on.ready)
    lines = [Line("`mailworker --help`", helps), Line("worker, to its first mail", mails)]
    return Table("start", "Start-up", "s", lines)
