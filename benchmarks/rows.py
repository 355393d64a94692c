"""The rows of the benchmark that send a backlog: over loopback, through a distance, with pools of other sizes."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from statistics import median
from typing import Final

from .contestants import Contestant, all_contestants
from .dialogue import Manner
from .payloads import BODY
from .postfix import missing
from .run import Load, Result, backlog
from .table import Line, Table

PEERS: Final = ("dramatiq", "rq", "huey", "php")


@dataclass(frozen=True)
class Options:
    runs: int = 5
    mails: int = 20_000
    seconds: float = 6
    """About how long a run is to last for those that would take longer for `mails`."""
    round_trip: float = 0.04
    chunking: bool = True
    pipelining: bool = True
    mails_per_connection: int = 0
    size: int = BODY
    processes: int = 5
    append_only: bool = False
    quick: bool = False
    contestants: Sequence[str] = ()

    def manner(self, round_trip: float = 0) -> Manner:
        return Manner(round_trip, self.pipelining, self.chunking, self.mails_per_connection)

    def chosen(self, names: Sequence[str]) -> list[str]:
        return [name for name in names if not self.contestants or name in self.contestants]


def loopback(options: Options) -> Table:
    names = ["mailworker", "loop", "prototype", "celery", *([] if options.quick else PEERS)]
    title = f"A backlog of {options.mails:,} mails, loopback"
    return _compare("loopback", title, names, options, 0)


def distance(options: Options) -> Table:
    others = ["prototype", "mailworker-threads", "mailworker-gevent"]
    names = ["mailworker", "mailworker-w16", "loop", *([] if options.quick else others)]
    title = f"A backlog through a round trip of {options.round_trip * 1000:g} ms"
    return _compare("distance", title, names, options, options.round_trip)


def postfix(options: Options) -> Table:
    """Into a real relay, which writes each mail to disk before it answers."""
    title = "A backlog into a real Postfix, loopback"
    problem = missing()
    if problem:
        return Table("postfix", title, "mails/s", [], notes=[f"Left out: {problem}."])
    names = ["mailworker", "loop", "prototype", "celery"]
    return _compare("postfix", title, names, replace(options, mails=options.mails // 5), 0, into_postfix=True)


def wide(options: Options) -> Table:
    """A hundred connections in one process, against processes of one connection each."""
    everyone = all_contestants()
    sizes = {"mailworker": 20, "mailworker-threads": 100, "mailworker-gevent": 100}
    chosen = [everyone[name] for name in options.chosen(list(sizes))]
    present = [who for who in chosen if not who.missing]
    results: dict[str, list[Result]] = {who.name: [] for who in present}
    for _ in range(options.runs):
        for who in present:
            load = _load(who, replace(options, processes=sizes[who.name]), options.round_trip)
            results[who.name].append(tell(backlog(who, load)))
    lines = [replace(_line(who.name, results[who.name]), note=f"`-c {sizes[who.name]}`") for who in present]
    notes = [note for who in present for note in costs(who.name, results[who.name])]
    raw = {key: [asdict(result) for result in values] for key, values in results.items()}
    title = f"Many connections through a round trip of {options.round_trip * 1000:g} ms"
    return Table("wide", title, "mails/s", lines, (lines[0].name,), notes, raw)


def pools(options: Options) -> Table:
    """The rate against the number of sending processes."""
    mailworker = all_contestants()["mailworker"]
    lines, raw = [], {}
    sizes = (2, 5, 10, 20)
    results: dict[int, list[Result]] = {size: [] for size in sizes}
    for _ in range(options.runs):
        for size in sizes:
            load = _load(mailworker, replace(options, processes=size), options.round_trip)
            results[size].append(tell(backlog(mailworker, load)))
    for size in sizes:
        lines.append(_line(f"{size} processes", results[size]))
        raw[str(size)] = [asdict(result) for result in results[size]]
    title = f"Pool processes, through a round trip of {options.round_trip * 1000:g} ms"
    return Table("pools", title, "mails/s", lines, (lines[0].name,), costs("5 processes", results[5]), raw)


def _compare(
    name: str, title: str, names: Sequence[str], options: Options, round_trip: float, into_postfix: bool = False
) -> Table:
    everyone = all_contestants()
    chosen = [everyone[name] for name in options.chosen(names)]
    notes = [f"{who.name} is left out: {who.missing}." for who in chosen if who.missing]
    present = [who for who in chosen if not who.missing]
    results: dict[str, list[Result]] = {who.name: [] for who in present}
    for _ in range(options.runs):
        for who in present:
            load = replace(_load(who, options, round_trip), postfix=into_postfix)
            results[who.name].append(tell(backlog(who, load)))
    lines = [_line(who.name, results[who.name]) for who in present]
    for who in present:
        notes += costs(who.name, results[who.name])
    raw = {key: [asdict(result) for result in values] for key, values in results.items()}
    return Table(name, title, "mails/s", lines, ("loop", "celery", "prototype"), notes, raw)


def _load(who: Contestant, options: Options, round_trip: float) -> Load:
    """As many mails as it should send in the time, no more than the whole backlog."""
    expected = who.expected_rate(options.manner(round_trip), options.processes) * options.seconds
    mails = min(options.mails, max(options.processes * 4, round(expected)))
    if not round_trip and not options.quick and who.rate > 1000:
        mails = options.mails
    return Load(mails, options.manner(round_trip), options.processes, options.size, options.append_only)


def _line(name: str, results: Sequence[Result]) -> Line:
    return Line(name, [result.rate or None for result in results], f"{results[0].mails:,} mails")


def costs(name: str, results: Sequence[Result]) -> list[str]:
    """What a mail cost, of the runs that count."""
    good = [result for result in results if not result.failure]
    if not good:
        return []

    def middle(key: str, factor: float = 1) -> float:
        values: list[float] = [getattr(result, key) for result in good]
        return median(values) * factor

    return [
        f"{name}, a mail: CPU {middle('worker_cpu', 1e6):.0f} µs its processes, of these "
        f"{middle('main_cpu', 1e6):.0f} µs the one that was started; {middle('redis_cpu', 1e6):.0f} µs Redis, "
        f"{middle('sink_cpu', 1e6):.0f} µs the server of this benchmark; at Redis {middle('redis_commands'):.1f} "
        f"commands (scripts' own too) and {middle('redis_octets'):,.0f} octets. "
        f"Longest silence {max(result.silence for result in good):.2f} s."
    ]


def tell(result: Result) -> Result:
    """Progress, for whoever watches."""
    outcome = f"FAILED: {result.failure}" if result.failure else f"{result.rate:,.0f} mails/s"
    print(f"  {result.contestant}: {result.mails:,} mails, {outcome}", file=sys.stderr, flush=True)
    return result
