"""The rows of the table: what strikes, how often, and what must hold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from statistics import median

from . import relay, strikes
from .stage import Options
from .strikes import Strike

WINDOW = 4
"""Mails in flight on a connection by default."""


@dataclass(frozen=True)
class Tally:
    """What a row came to."""

    struck: int
    pushed: int
    lost: int
    doubled: int
    unexplained: int
    """Of the doubled mails those that were never in doubt."""
    in_doubt: int
    seconds: list[float]
    files: int = 0
    """Files lost, left over or wrongly counted."""
    notes: list[str] = field(default_factory=list)

    def recovery(self) -> str:
        if not any(self.seconds):
            return "-"
        return f"{median(self.seconds):.1f} s, at most {max(self.seconds):.1f} s"


Rule = Callable[[Tally], bool]


@dataclass(frozen=True)
class Row:
    name: str
    fault: str
    trials: int
    short: int
    """How many in the short form."""
    must: str
    holds: Rule
    strike: Strike
    options: Options = field(default_factory=Options)


def _none_doubled(tally: Tally) -> bool:
    return tally.lost == 0 and tally.doubled == 0


def _only_in_doubt(tally: Tally) -> bool:
    return tally.lost == 0 and tally.unexplained == 0 and tally.doubled <= tally.in_doubt


def _none_in_doubt(tally: Tally) -> bool:
    return _none_doubled(tally) and tally.in_doubt == 0


def _within(seconds: float, rule: Rule) -> Rule:
    return lambda tally: rule(tally) and max(tally.seconds, default=0) <= seconds


def _whole_files(tally: Tally) -> bool:
    return _only_in_doubt(tally) and tally.files == 0


def _per_kill(tally: Tally) -> bool:
    return _only_in_doubt(tally) and tally.doubled <= tally.struck * WINDOW


QUICK = {
    "MAILWORKER_SMTP_REPLY_TIMEOUT": "1",
    "MAILWORKER_SMTP_FINAL_TIMEOUT": "1",
    "MAILWORKER_SMTP_CONNECT_TIMEOUT": "1",
    "MAILWORKER_RETRY_DELAYS": "0.2,0.5,1",
}
ONE_BY_ONE = Options(environment={**QUICK, "MAILWORKER_SMTP_WINDOW": "1"}, children=2)
STEP_BY_STEP = replace(ONE_BY_ONE, extensions="")
IN_GROUPS = replace(ONE_BY_ONE, extensions="PIPELINING")
BEFORE = ("greeting", "connect", "EHLO", "MAIL", "RCPT", "half", "content")
BEFORE_DATA = ("MAIL", "RCPT", "DATA", "half", "content")

ROWS = [
    Row("child", "kill -9 of a pool child while sending: nine named points, and at random", 100, 8,
        "0 lost; doubled only in doubt, and at most a window a kill; goes on in 5 s",
        _within(5, _per_kill), strikes.sending_child, Options(points=True)),
    Row("child-groups", "the same where the relay has no CHUNKING", 100, 2,
        "0 lost; doubled only in doubt, and at most a window a kill; goes on in 5 s",
        _within(5, _per_kill), strikes.sending_child, Options(points=True, extensions="PIPELINING")),
    Row("doorbell", "kill -9 of a pool child that has a doorbell in hand, before it takes its mails", 20, 1,
        "0 lost, 0 doubled; goes on in 60 s",
        _within(60, _none_doubled), strikes.rung_child, Options(points=True)),
    Row("bridge", "kill -9 of the child that runs the bridge: five named points, and at random", 100, 4,
        "0 lost, 0 doubled", _none_doubled, strikes.bridge_child, Options(points=True, rate=100, burst=60)),
    Row("main", "kill -9 of a worker's main process under load, alone or with its children", 100, 2,
        "0 lost; doubled only in doubt; others take over in 60 s",
        _within(60, _only_in_doubt), strikes.main_process, Options(workers=2, children=2)),
    Row("redis", "kill -9 of Redis with its append-only file", 50, 1,
        "0 lost; doubled only in doubt; workers back in 60 s",
        _within(60, _only_in_doubt), strikes.kill_redis, Options(workers=2, children=2)),
    Row("relay", "relay refuses, resets, closes, hangs before it has the mail (BDAT, window of 1)", 140, 8,
        "0 lost, 0 doubled", _none_doubled, strikes.misbehave(*BEFORE), ONE_BY_ONE),
    Row("relay-groups", "the same without CHUNKING", 100, 0,
        "0 lost, 0 doubled", _none_doubled, strikes.misbehave(*BEFORE_DATA), IN_GROUPS),
    Row("relay-steps", "the same without PIPELINING", 100, 0,
        "0 lost, 0 doubled", _none_doubled, strikes.misbehave(*BEFORE_DATA), STEP_BY_STEP),
    Row("relay-dot", "the same after the dot: it has the mail, and does not say so (window of 4)", 20, 3,
        "0 lost; doubled only in doubt", _only_in_doubt, strikes.misbehave("dot", actions=relay.SILENT),
        Options(environment=QUICK, children=2)),
    Row("relay-gone", "kill -9 of the relay", 20, 0,
        "0 lost; doubled only in doubt", _only_in_doubt, strikes.kill_relay, Options(environment=QUICK, children=2)),
    Row("answers", "answers of Redis lost by a proxy: each script, and the broker's commands", 50, 3,
        "0 lost, 0 doubled", _none_doubled, strikes.lose_answer, Options(proxy=True)),
    Row("freeze", "SIGSTOP of a worker past its lease, then SIGCONT", 20, 0,
        "0 lost; doubled only in doubt", _only_in_doubt, strikes.freeze_worker, Options(workers=3, children=2)),
    Row("stop", "SIGTERM, SIGQUIT, SIGINT in a rolling restart under load, children replaced every 10 tasks", 30, 1,
        "0 lost, 0 doubled; gone in 15 s", _within(15, _none_doubled), strikes.stop_worker,
        Options(workers=2, children=2, celery="worker_max_tasks_per_child = 10\n")),
    Row("stop-slow", "SIGTERM, SIGQUIT, SIGINT to a worker or its group; the relay answers after 3 s", 100, 1,
        "0 lost, 0 doubled, 0 in doubt; gone in 15 s", _within(15, _none_in_doubt), strikes.stop_slow_worker,
        Options(workers=2, children=3, rate=1, burst=3, relay_delay=6,
                environment={"MAILWORKER_SMTP_WINDOW": "1"})),
    Row("files", "kill -9 of child, worker, producer, Redis at random; mails with shared files and files of their own",
        100, 3, "0 lost; doubled only in doubt; each file whole, none left over", _whole_files,
        strikes.anything_of_files,
        Options(workers=2, children=2, rate=60, burst=15, relay_delay=0.02, files=True, points=True)),
    Row("files-control", "control: the same files, counted beside the scripts",
        8, 1, "it leaves files over, or the trials are blind", lambda tally: tally.files > 0, strikes.settling_child,
        Options(files=True, points=True, environment={"TRIALS_COUNT_BESIDE": "1"})),
    Row("all", "all of these at random for ten minutes, three workers", 90, 0,
        "0 lost; doubled only in doubt", _only_in_doubt, strikes.anything,
        Options(workers=3, children=2, rate=18, burst=60, relay_delay=0.05, environment=QUICK)),
    Row("control", "control: the same kills on a plain Celery task with acks_late", 15, 5,
        "it loses, or the trials are blind", lambda tally: tally.lost > 0, strikes.control_kill,
        Options(plain=True, rate=40, burst=10, relay_delay=0.03)),
]  # fmt: skip
