"""Where the time goes in a backlog over loopback: `python -m benchmarks.profile [MAILS]`.

Prints the shares of the pool children's and of the main process's CPU, and what a mail costs Redis by command.
"""

from __future__ import annotations

import json
import secrets
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from .contestants import Contestant, all_contestants
from .payloads import token
from .run import Load, push, running
from .stage import Failed, ended_politely

Groups = Sequence[tuple[str, Sequence[str]]]
"""A name, and functions of which one is on the stack: the first group that fits counts."""

CHILD: Final[Groups] = (
    ("decoding the entry", ["mailworker.mail.entry.from_entry"]),
    ("building the MIME message", ["mailworker.mail.wire.mime.build"]),
    ("Redis: settling and committing", ["mailworker.spool.spool.settle"]),
    ("Redis: taking the batch", ["mailworker.spool.spool.take"]),
    ("writing to the relay", ["mailworker.smtp.connection.write"]),
    ("the relay's replies, and what they mean", ["mailworker.smtp.bdat._read_replies"]),
    ("the rest of the session", ["mailworker.smtp.bdat.stream"]),
    ("the bridge", ["mailworker.delivery.bridge.run"]),
)
MAIN: Final[Groups] = (
    ("events for Flower", ["celery.events.dispatcher.flush", "celery.events.dispatcher.send"]),
    ("acknowledging doorbells", ["kombu.message.ack_log_error"]),
    ("receiving doorbells", ["kombu.transport.redis._brpop_read"]),
    ("to the children and back", ["celery.concurrency.asynpool.on_result_readable",
                                  "celery.concurrency.asynpool.schedule_writes"]),
)  # fmt: skip
REST: Final = "the rest"


def shares(stacks: Mapping[str, int], groups: Groups) -> dict[str, float]:
    """Of each group, and of the rest, the part of all samples."""
    found = Counter({name: 0 for name, _ in groups})
    for stack, samples in stacks.items():
        functions = set(stack.split(";"))
        found[next((name for name, of in groups if functions.intersection(of)), REST)] += samples
    total = sum(found.values()) or 1
    return {name: samples / total for name, samples in found.items()}


def commands(client: Any, mails: int) -> list[tuple[str, float, float]]:
    """(command, calls, µs) for each mail; those within scripts count again in `evalsha`."""
    found = [(name.removeprefix("cmdstat_"), values["calls"] / mails, values["usec"] / mails)
             for name, values in client.info("commandstats").items()]  # fmt: skip
    return sorted(found, key=lambda row: -row[2])[:8]


def _print(stacks: Mapping[str, Mapping[str, int]], redis: Sequence[tuple[str, float, float]]) -> None:
    for title, kind, groups in (("a pool child", "child", CHILD), ("the main process", "main", MAIN)):
        print(f"| {title} | share of its CPU |\n| --- | ---: |")
        for name, share in sorted(shares(stacks[kind], groups).items(), key=lambda item: (item[0] == REST, -item[1])):
            print(f"| {name} | {share:.0%} |")
        print()
    print("| Redis (what a script calls is in its `evalsha`, too) | calls a mail | µs a mail |\n| --- | ---: | ---: |")
    for name, calls, microseconds in redis:
        print(f"| `{name}` | {calls:.2f} | {microseconds:.1f} |")


def _profiled(folder: str) -> Contestant:
    usual = all_contestants()["mailworker"]

    def command(processes: int) -> list[list[str]]:
        ((python, _, _, *rest),) = usual.commands(processes)
        return [[python, "-m", "benchmarks.workers.profiled", *rest]]

    return replace(usual, commands=command, environment={"BENCH_PROFILE": folder})


def _run(mails: int, folder: str) -> list[tuple[str, float, float]]:
    run = secrets.token_hex(4)
    names = [token(run, number) for number in range(mails)]
    with running(_profiled(folder), Load(mails)) as on:
        push(on, names)
        on.server.client.config_resetstat()
        on.sink.wait(mails)
        return commands(on.server.client, mails)


def _stacks(folder: Path) -> dict[str, Counter[str]]:
    found: dict[str, Counter[str]] = {"child": Counter(), "main": Counter()}
    for path in folder.glob("*.json"):
        found[path.name.partition("-")[0]].update(json.loads(path.read_text()))
    return found


def main() -> int:
    mails = int(sys.argv[1]) if len(sys.argv) > 1 else 50_000
    with tempfile.TemporaryDirectory(prefix="mailworker-profile-") as folder, ended_politely():
        try:
            redis = _run(mails, folder)
        except Failed as failed:
            sys.exit(f"FAILED: {failed}")
        _print(_stacks(Path(folder)), redis)
    return 0


if __name__ == "__main__":
    sys.exit(main())
