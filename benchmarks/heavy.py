"""The rows of the benchmark with much in them: mails of 1 MiB, and a million mails."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from statistics import median
from typing import Final

from .contestants import all_contestants
from .dialogue import Manner
from .payloads import entry, token
from .rows import Options, tell
from .run import Load, Result, backlog, complaint, push, running
from .stage import Failed, memory
from .table import Line, Table

MEBIBYTE: Final = 1024 * 1024
GIGABIT: Final = 125_000_000
"""Octets a second."""
FIRST: Final = 10_000


def large(options: Options) -> Table:
    """Mails of 1 MiB, against a plain socket that writes the same octets to the same server."""
    return _large("large", "Mails of 1 MiB, loopback", options, options.manner())


def line(options: Options) -> Table:
    """The same through a line of 1 Gbit/s, so that the network is what is full."""
    manner = replace(options.manner(), bandwidth=GIGABIT)
    return _large("line", "Mails of 1 MiB through a line of 1 Gbit/s", options, manner)


def _large(name: str, title: str, options: Options, manner: Manner) -> Table:
    mails = 60 if options.quick else 200
    names = options.chosen(["mailworker", "loop", "courier", "socket"])
    load = Load(mails, manner, options.processes, MEBIBYTE, options.append_only)
    results: dict[str, list[Result]] = {name: [] for name in names}
    for _ in range(options.runs):
        for who in names:
            results[who].append(tell(backlog(all_contestants()[who], load)))
    lines = [Line(name, [_mebibytes(result) for result in results[name]], f"{mails} mails") for name in names]
    peaks = [result.peak / MEBIBYTE for result in results.get("mailworker", []) if not result.failure]
    notes = [f"The largest process of the worker grew by {median(peaks):.1f} MiB at most."] if peaks else []
    raw = {name: [asdict(result) for result in results[name]] for name in names}
    return Table(name, title, "MiB/s", lines, ("loop", "courier", "socket"), notes, raw)


def _mebibytes(result: Result) -> float | None:
    return result.octets / MEBIBYTE / result.seconds if not result.failure else None


@dataclass(frozen=True)
class Depth:
    """What a list of this depth did to the first deliveries, to the worker's memory and to Redis's."""

    waiting: int
    rate: float
    worker: float
    """MiB when the first mails were through, all processes, what they share counted once."""
    redis: float
    """Octets of Redis's memory for an octet of payload, at its highest."""


def million(options: Options) -> Table:
    """The same first deliveries with ten thousand entries waiting, and with a million."""
    depths = (FIRST, options.mails if options.mails > FIRST else 1_000_000)
    found: dict[int, list[Depth]] = {depth: [] for depth in depths}
    for _ in range(options.runs):
        for depth in depths:
            found[depth].append(_first_deliveries(options, depth))
    lines: list[Line] = []
    for title, key in (("mails/s", "rate"), ("worker, MiB", "worker"), ("Redis ÷ payloads", "redis")):
        lines += [Line(f"{depth:,} waiting: {title}", [getattr(one, key) for one in found[depth]]) for depth in depths]
    raw = {str(depth): [asdict(one) for one in found[depth]] for depth in depths}
    return Table("million", f"The first {FIRST:,} deliveries of a long list", "see line", lines, raw=raw)


def _first_deliveries(options: Options, waiting: int) -> Depth:
    run = secrets.token_hex(4)
    names = [token(run, number) for number in range(waiting)]
    load = replace(Load(waiting, options.manner(), options.processes), append_only=options.append_only)
    with running(all_contestants()["mailworker"], load) as on:
        client = on.server.client
        empty = int(client.info("memory")["used_memory"])
        begun = push(on, names, options.size)
        on.sink.wait(FIRST, 120)
        grown = memory(on.processes[0].pid)
        highest = int(client.info("memory")["used_memory_peak"]) - empty
        report = on.sink.report()
    problem = _doubled(report.seen, names) or complaint(replace(report, seen=[]), [])
    if problem:
        raise Failed(f"{waiting:,} waiting: {problem}")
    payloads = sum(len(entry(name, options.size)) for name in names)
    rate = FIRST / (sorted(at for _, at in report.seen)[FIRST - 1] - begun)
    return Depth(waiting, rate, grown / MEBIBYTE, highest / payloads)


def _doubled(seen: Sequence[tuple[str, float]], names: Sequence[str]) -> str:
    arrived = [name for name, _ in seen]
    if len(set(arrived)) < len(arrived):
        return "mails twice"
    return "mails that nobody sent" if set(arrived) - set(names) else ""
