"""What `mailworker status` says first: the first thing that is wrong, the command or setting that mends it, and an exit
code that a script can use. All but `read_report` is pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from .delivery.remedies import remedy
from .spool import Queries, machine, owner
from .spool.redis_errors import ADVICE

GOOD: Final = 0
PROBLEM: Final = 1
"""Something is wrong that a person has to mend."""
LATER: Final = 75
"""Redis or the relay is away: it is tried again by itself (EX_TEMPFAIL of sysexits.h)."""
SETTINGS: Final = 78
"""A setting is wrong (EX_CONFIG)."""

STANDS_AFTER: Final = 60.0
"""Seconds without any outcome after which mail that waits is said to stand."""

_START: Final = "start one: celery -A mailworker worker"


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence for a person, and the exit code for a script."""

    sentence: str
    code: int


def read_report(queries: Queries) -> dict[str, Any]:
    """What `Queries.status` returns, and what the kernel knows better: a worker of this machine whose process is gone
    is not alive, however short ago it was heard of.

    Raises `SpoolError`.
    """
    report = queries.status()
    space = machine.space()
    gone = {name for name in report["workers"] if owner.gone(name, space)}
    return report | {
        "workers": {name: size for name, size in report["workers"].items() if name not in gone},
        "silent": report["silent"] | {name: report["heard_seconds"][name] for name in gone},
    }


def first_finding(report: Mapping[str, Any]) -> Finding:
    """The first thing that is wrong in a report, or that mail flows."""
    return _redis(report) or _workers(report) or _relays(report) or _backlog(report) or _good(report)


def relay_line(relay: Mapping[str, Any]) -> str:
    """Whether the relay works; if not: which, since when, when it is tried next, what to mend and what it said."""
    if not relay["open"]:
        failures = relay["failures"]
        if failures:
            return f"the relay failed of late ({failures} in a row), and is tried on: {relay['last_error']}"
        bears = relay.get("connections")
        limit = f"; it takes {bears} connections at once, and no more are tried but now and then" if bears else ""
        return f"the relay works, as far as is known{limit}"
    place = f"{relay['place']}, " if relay["place"] else ""
    since = f"for {span(relay['down_seconds'])} now; " if relay["down_seconds"] is not None else ""
    probe = f"next probe in {span(relay['probe_seconds'])}" if relay["probe_seconds"] else "the next mail is the probe"
    if relay.get("slower"):
        return f"the relay takes no more for now ({place}{since}tried again by itself; {probe}): {relay['last_error']}"
    if relay["needs_operator"]:
        who = f"the configuration must be mended: {remedy(relay['last_error'])}; then `mailworker retry-now`"
    else:
        who = f"tried again by itself; if it lasts, look at {remedy(relay['last_error'])}"
    return f"the relay does not work ({place}{since}{who}; {probe}): {relay['last_error']}"


def span(seconds: float) -> str:
    """`45 s`, `12 min`, `3 h`, `2 d`: the largest unit of which there are two."""
    for unit, name in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{max(seconds, 0):.0f} s"


def _redis(report: Mapping[str, Any]) -> Finding | None:
    if code := report["refuses"]:
        return Finding(ADVICE[code], PROBLEM)
    strange = [queue for queue, length in report["lists"].items() if length is None]
    if strange:
        return Finding(f"{strange[0]} in Redis is no list: rename that key, or mend MAILWORKER_LEGACY_QUEUES", PROBLEM)
    return None


def _workers(report: Mapping[str, Any]) -> Finding | None:
    if report["workers"]:
        return None
    silent = [seconds for seconds in report["silent"].values() if seconds is not None]
    if report["silent"]:
        when = f": last heard of {span(min(silent))} ago" if silent else ""
        return Finding(f"No worker is alive{when}; {_START}", PROBLEM)
    return Finding(f"No worker is running; {_START}", PROBLEM)


def _relays(report: Mapping[str, Any]) -> Finding | None:
    """Of the first that has one."""
    found = (_relay(relay, _waiting(report)) for relay in report["relays"].values())
    return next((finding for finding in found if finding), None)


def _relay(relay: Mapping[str, Any], waiting: int) -> Finding | None:
    if not relay["open"] and not (relay["failures"] and waiting):
        return None
    sentence = relay_line(relay)
    return Finding(sentence[0].upper() + sentence[1:], PROBLEM if relay["needs_operator"] else LATER)


def _backlog(report: Mapping[str, Any]) -> Finding | None:
    waiting = _waiting(report)
    stands = report["stands_seconds"]
    if not waiting or stands is None or stands < STANDS_AFTER:
        return None
    return Finding(
        f"{waiting} mails wait and nothing moved for {span(stands)}, though a worker is alive; look into its log",
        PROBLEM,
    )


def _good(report: Mapping[str, Any]) -> Finding:
    waiting = _waiting(report)
    letters = report["states"]["failed"] + report["states"]["held"]
    sentence = f"Mail flows; {waiting} wait" if waiting else "Mail flows"
    if letters:
        sentence += f"; {letters} dead letters want a person: mailworker dead list"
    return Finding(sentence, GOOD)


def _waiting(report: Mapping[str, Any]) -> int:
    """Mails that could go now."""
    states = report["states"]
    lists = sum(length for length in report["lists"].values() if length)
    return int(lists + states["queued"] + states["leased"] + states["committing"])
