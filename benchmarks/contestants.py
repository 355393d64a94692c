"""Who is measured: the commands that start each one. All take the same entries from the same list."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from . import payloads
from .dialogue import Manner
from .stage import Server, Sink

QUEUE: Final = "queue:email"
Commands = list[list[str]]


@dataclass(frozen=True)
class Contestant:
    name: str
    what: str
    commands: Callable[[int], Commands]
    """For so many sending processes."""
    environment: Mapping[str, str] = field(default_factory=dict)
    missing: str = ""
    """Why it cannot run here."""
    rate: float = 500
    """Mails a second to expect over loopback; the length of a run is chosen by it."""
    entry: Callable[[str, int], bytes] = payloads.entry
    """What goes onto the list for a mail of this token and size."""
    calls: bool = False
    """Takes what new code sends as well."""
    per_round_trip: float = 0.25
    """Mails that one connection delivers in one round trip."""

    def expected_rate(self, manner: Manner, processes: int = 5) -> float:
        if not manner.round_trip:
            return self.rate
        most = 0.25 if not manner.pipelining else 1 if not manner.chunking else self.per_round_trip
        return min(self.rate, min(self.per_round_trip, most) * processes / manner.round_trip)


def environment(contestant: Contestant, server: Server, sink: Sink) -> dict[str, str]:
    relay = f"smtp://127.0.0.1:{sink.port}"
    return {
        "BENCH_REDIS_URL": server.url,
        "BENCH_SMTP_PORT": str(sink.port),
        "MAILWORKER_REDIS_URL": server.url,
        "MAILWORKER_SMTP_URL": relay,
        "MAILWORKER_FROM": "The Shop <shop@example.com>",
        **contestant.environment,
    }


def _python(module: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", module, *arguments]


def _worker(name: str) -> str:
    return f"benchmarks.workers.{name}"


def _feed(name: str) -> list[str]:
    return _python(_worker("feed"), name)


def _mailworker(pool: str) -> Callable[[int], Commands]:
    head = ("-A", "mailworker", "worker", "-l", "WARNING", "-P", pool, "-c")
    return lambda processes: [_python("celery", *head, str(processes))]


def _single(name: str) -> Callable[[int], Commands]:
    """One process that forks the others itself."""
    return lambda processes: [_python(_worker(name), str(processes))]


def _celery(processes: int) -> Commands:
    app = _worker("celery_plain")
    return [_python("celery", "-A", app, "worker", "-l", "WARNING", "-c", str(processes)), _feed("celery_plain")]


def _dramatiq(processes: int) -> Commands:
    app = _worker("dramatiq_plain")
    return [_python("dramatiq", app, "-p", str(processes), "-t", "1"), _feed("dramatiq_plain")]


def _rq(processes: int) -> Commands:
    app = _worker("rq_plain")
    return [*[_python(app) for _ in range(processes)], _feed("rq_plain")]


def _huey(processes: int) -> Commands:
    app = _worker("huey_plain")
    consumer = shutil.which("huey_consumer", path=str(Path(sys.executable).parent)) or "huey_consumer"
    return [[sys.executable, consumer, f"{app}.huey", "-k", "process", "-w", str(processes), "-q"], _feed("huey_plain")]


def _php(processes: int) -> Commands:
    script = str(Path(__file__).parent / "workers" / "daemon.php")
    return [["php", script] for _ in range(processes)]


def _absent(module: str) -> str:
    return "" if importlib.util.find_spec(module) else f"{module} is not installed"


def _without_php() -> str:
    if shutil.which("php") is None:
        return "php is not installed"
    if not Path(_swiftmailer()).is_file():
        return "Swiftmailer is not installed (BENCH_SWIFTMAILER names its autoload file)"
    return ""


def _swiftmailer() -> str:
    return os.environ.get("BENCH_SWIFTMAILER", "/usr/share/php/Swift/autoload.php")


def all_contestants() -> dict[str, Contestant]:
    window = {"MAILWORKER_SMTP_WINDOW": "16"}
    contestants = [
        Contestant("mailworker", "`celery -A mailworker worker`", _mailworker("prefork"), rate=4000, calls=True,
                   per_round_trip=3),
        Contestant("mailworker-w16", "the same with `MAILWORKER_SMTP_WINDOW=16`", _mailworker("prefork"), window,
                   rate=4000, calls=True, per_round_trip=10),
        Contestant("mailworker-threads", "the same with `-P threads`: one process", _mailworker("threads"),
                   rate=2000, per_round_trip=3),
        Contestant("mailworker-gevent", "the same with `-P gevent`: one process", _mailworker("gevent"),
                   rate=2000, per_round_trip=3, missing=_absent("gevent")),
        Contestant("loop", "BRPOP, `EmailMessage`, warm smtplib; no safety", _single("loop"), rate=550),
        Contestant("prototype", "RPOP of many, MIME by hand, pipelined DATA; no safety", _single("prototype"),
                   rate=6000, per_round_trip=0.45),
        Contestant("celery", "a plain Celery task, warm smtplib, fed by a popping loop", _celery, rate=220),
        Contestant("dramatiq", "a dramatiq actor, warm smtplib, fed by a popping loop", _dramatiq, rate=250,
                   missing=_absent("dramatiq")),
        Contestant("rq", "RQ's SimpleWorker, warm smtplib, fed by a popping loop", _rq, rate=150,
                   missing=_absent("rq")),
        Contestant("huey", "a huey task, warm smtplib, fed by a popping loop", _huey, rate=250,
                   missing=_absent("huey")),
        Contestant("socket", "a plain socket that writes the same octets", _single("plain_socket"), rate=5000,
                   entry=payloads.ticket, per_round_trip=3),
        Contestant("courier", "takes finished mails from Redis and writes them to a plain socket; no safety",
                   _single("courier"), rate=2000, entry=payloads.finished, per_round_trip=3),
        Contestant("php", "the old daemon's way: unserialize, Swiftmailer, a connection a mail", _php,
                   {"BENCH_SWIFTMAILER": _swiftmailer()}, rate=100, missing=_without_php(), per_round_trip=0.1),
    ]  # fmt: skip
    return {contestant.name: contestant for contestant in contestants}
