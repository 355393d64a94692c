"""One contestant on its stage, warm and ready, and what it did with a backlog."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import Final

from .contestants import QUEUE, Contestant, environment
from .dialogue import Manner
from .payloads import BODY, entry, rich_entry, token
from .postfix import Postfix, PostfixSink
from .stage import PATIENCE, Failed, Report, Server, Sink, Stage, cpu_seconds, own_cpu_seconds, peak_memory, session

WARM_UP: Final = 30
_AT_ONCE: Final = 1_000_000
AnySink = Sink | PostfixSink


@dataclass(frozen=True)
class Load:
    """What is sent how far."""

    mails: int
    manner: Manner = field(default_factory=Manner)
    processes: int = 5
    size: int = BODY
    append_only: bool = False
    postfix: bool = False
    """To a real Postfix, which knows no manners of ours."""
    kind: str = ""
    """A mail of new code, as in `payloads.rich`; empty for an entry that a PHP producer pushes."""


@dataclass(frozen=True)
class Result:
    """What one run of one contestant gave. `failure` says why its rate does not count."""

    contestant: str
    mails: int
    seconds: float = 0
    ready: float = 0
    """Seconds from its start to its first mail."""
    redis_commands: float = 0
    redis_octets: float = 0
    redis_cpu: float = 0
    """Of Redis, for each mail: commands (scripts' own too), octets in and out, seconds of CPU."""
    sink_cpu: float = 0
    worker_cpu: float = 0
    main_cpu: float = 0
    """Seconds of CPU for each mail: of all its processes, and of those among them that it was started as."""
    connections: int = 0
    octets: int = 0
    peak: int = 0
    """Octets that the largest of its processes grew by since the warm-up."""
    silence: float = 0
    """The longest time in seconds, from the push on, in which nothing was accepted: a stall shows here."""
    failure: str = ""

    @property
    def rate(self) -> float:
        return self.mails / self.seconds if self.seconds and not self.failure else 0.0


class Running:
    """A contestant that has delivered its warm-up."""

    def __init__(self, contestant: Contestant, stage: Stage, server: Server, sink: AnySink,
                 processes: list[subprocess.Popen[bytes]], ready: float) -> None:  # fmt: skip
        self.contestant = contestant
        self.stage = stage
        self.server = server
        self.sink = sink
        self.processes = processes
        self.ready = ready
        self._peaks = self._peak_memory()

    def growth(self) -> int:
        """Octets by which the largest of its processes has grown at most since its warm-up."""
        return max(peak - self._peaks.get(pid, peak) for pid, peak in self._peak_memory().items())

    def check(self) -> None:
        """Raises `Failed` when one of its processes has ended."""
        gone = [process for process in self.processes if process.poll() is not None]
        if gone:
            raise Failed(f"{gone[0].args!r} ended")

    def _peak_memory(self) -> dict[int, int]:
        return {pid: peak_memory(pid) for process in self.processes for pid in session(process.pid)}


@contextmanager
def running(contestant: Contestant, load: Load) -> Iterator[Running]:
    """Raises `Failed` where it does not come up, or the body raises it, with the ends of its logs."""
    with Stage(load.append_only) as stage, _sink(stage, load) as sink:
        server = stage.redis()
        begun = time.monotonic()
        try:
            processes = [
                stage.start(command, environment(contestant, server, sink))
                for command in contestant.commands(load.processes)
            ]
            run = secrets.token_hex(4)
            server.client.lpush(QUEUE, contestant.entry(token(run, 0), BODY))
            _first_mail(sink, processes)
            ready = time.monotonic() - begun
            names = [token(run, number) for number in range(1, WARM_UP)]
            server.client.lpush(QUEUE, *[contestant.entry(name, BODY) for name in names])
            sink.wait(WARM_UP)
            sink.report()
            yield Running(contestant, stage, server, sink, processes, ready)
            for process in processes:
                stage.end(process)
        except Failed as failed:
            raise Failed(f"{failed}\n{stage.last_words()}".strip()) from None


@contextmanager
def _sink(stage: Stage, load: Load) -> Iterator[AnySink]:
    if not load.postfix:
        yield stage.sink(load.manner)
        return
    with Postfix() as postfix:
        yield PostfixSink(postfix)


def _first_mail(sink: AnySink, processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """Does not wait long for a contestant that is gone."""
    deadline = time.monotonic() + PATIENCE
    while not sink.count():
        gone = [process for process in processes if process.poll() is not None]
        if gone or time.monotonic() > deadline:
            raise Failed(f"{gone[0].args!r} ended" if gone else f"no mail in {PATIENCE:.0f} s")
        time.sleep(0.005)  # between two looks


def backlog(contestant: Contestant, load: Load) -> Result:
    """From the moment at which the whole backlog is there to the last acceptance."""
    try:
        return _backlog(contestant, load)
    except Failed as failed:
        return Result(contestant.name, load.mails, failure=str(failed))


def _backlog(contestant: Contestant, load: Load) -> Result:
    run = secrets.token_hex(4)
    names = [token(run, number) for number in range(load.mails)]
    with running(contestant, load) as on:
        before = _Meter(on)
        begun = _backlog_of(on, run, names, load)
        on.sink.wait(load.mails, patience=PATIENCE + 20 * load.mails / contestant.rate)
        spent = _Meter(on).since(before, load.mails)
        on.check()
        sink, ready, grown = on.sink, on.ready, on.growth()
        # Whatever it still does, a second delivery too, it does before its processes have ended.
        for process in on.processes:
            process.terminate()
        for process in on.processes:
            _wait(process)
        report = sink.report()
    return Result(
        contestant.name, load.mails, report.last - begun, ready, **spent, connections=report.connections,
        octets=report.octets, peak=grown, silence=_silence(begun, report), failure=complaint(report, names),
    )  # fmt: skip


def _silence(begun: float, report: Report) -> float:
    times = [begun, *sorted(at for _, at in report.seen)]
    return max(later - earlier for earlier, later in pairwise(times))


def _wait(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        raise Failed(f"{process.args!r} did not end") from None


def _backlog_of(on: Running, run: str, names: Sequence[str], load: Load) -> float:
    if not load.kind:
        return push(on, names, load.size)
    if on.contestant.calls:
        return _spooled(on, run, len(names), load.kind)
    return _appear(on, names, partial(rich_entry, load.kind), 1 if load.kind in ("file", "long") else 100)


def _spooled(on: Running, run: str, mails: int, kind: str) -> float:
    """Accepted beforehand, to be sent in an hour; then due all at once. The last one is pushed at that moment, which
    rings the bridge."""
    calls(on.stage, environment(on.contestant, on.server, on.sink), kind, run, mails - 1, 3600)
    at = time.monotonic()
    with on.server.client.pipeline() as together:
        together.zunionstore("mailworker:due", {"mailworker:due": 0})
        together.lpush(QUEUE, entry(token(run, mails - 1)))
        together.execute()
    return at


def calls(stage: Stage, variables: Mapping[str, str], kind: str, run: str, mails: int, wait: float = 0) -> float:
    """The seconds that a program took to call `send_email` for so many mails."""
    process = stage.start(
        [sys.executable, "-m", "benchmarks.workers.caller", kind, run, str(mails), str(wait)], variables
    )
    log = stage.last_log()
    if process.wait(PATIENCE):
        raise Failed(stage.last_words())
    return float(json.loads(log.read_text().splitlines()[-1])["seconds"])


def push(on: Running, names: Sequence[str], size: int = BODY) -> float:
    """All at once: written elsewhere, then renamed. Returns the time just before they appeared."""
    return _appear(on, names, lambda name: on.contestant.entry(name, size), max(1, _AT_ONCE // max(size, BODY)))


def _appear(on: Running, names: Sequence[str], entry_of: Callable[[str], bytes], at_once: int) -> float:
    client, aside = on.server.client, "bench:aside"
    for begin in range(0, len(names), at_once):
        client.lpush(aside, *map(entry_of, names[begin : begin + at_once]))
    at = time.monotonic()
    client.rename(aside, QUEUE)
    return at


def complaint(report: Report, names: list[str]) -> str:
    """What was wrong with what arrived; nothing when each mail came once and well formed."""
    expected = set(names)
    arrived = [name for name, _ in report.seen]
    once = set(arrived)
    problems = [f"{count} times {fault}" for fault, count in report.faults.items()]
    if expected - once:
        problems.append(f"{len(expected - once)} of {len(expected)} mails missing")
    if once - expected:
        problems.append(f"{len(once - expected)} mails that nobody sent")
    if len(arrived) > len(once):
        problems.append(f"{len(arrived) - len(once)} mails twice")
    return "; ".join(problems)


class _Meter:
    """What Redis, the sink and the workers have used so far."""

    def __init__(self, on: Running) -> None:
        stats = on.server.client.info("stats")
        used = on.server.client.info("cpu")
        self.redis_commands = float(stats["total_commands_processed"])
        self.redis_octets = float(stats["total_net_input_bytes"] + stats["total_net_output_bytes"])
        self.redis_cpu = float(used["used_cpu_user"] + used["used_cpu_sys"])
        self.sink_cpu = cpu_seconds(on.sink.pid)
        self.worker_cpu = sum(cpu_seconds(process.pid) for process in on.processes)
        self.main_cpu = sum(own_cpu_seconds(process.pid) for process in on.processes)

    def since(self, before: _Meter, mails: int) -> dict[str, float]:
        return {name: (value - getattr(before, name)) / mails for name, value in vars(self).items()}
