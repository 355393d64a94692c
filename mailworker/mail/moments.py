"""When a mail may go, and until when: what a caller passes as a time. Pure.

A time has a zone: one without would mean something else on the machine next door. Celery's `eta` alone is taken for UTC
where it has none, as Celery does.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from ..errors import Unsendable

LONGEST: Final = 10 * 366 * 86_400
"""Seconds. What is more is a mistake, and most often a Unix time."""

_EVER: Final = 10**11
"""Seconds: more than there are in all years."""
_ZONE: Final = "has no time zone; write datetime.now(UTC) + …, or give it a tzinfo"


def seconds(name: str, value: Any) -> float:
    """A number of seconds, or a `timedelta`. Raises `TypeError`."""
    if isinstance(value, timedelta):
        return _within(name, value.total_seconds())
    endless = isinstance(value, float) and not math.isfinite(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or endless:
        raise TypeError(f"{name}: expected seconds as a number, or a timedelta, got {_shown(value)}")
    return float(max(_within(name, value), -_EVER))  # of an integer of any length


def wait(name: str, value: Any, now: datetime, naive: bool = False) -> float:
    """Seconds from `now` until a moment: a datetime or its ISO text. Below 0 where it is over. Raises `TypeError`.

    `naive` is true where one without a zone is in UTC.
    """
    moment = _moment(name, value)
    if moment.tzinfo is None or moment.utcoffset() is None:
        if not naive:
            raise TypeError(f"{name}: {_ZONE}")
        moment = moment.replace(tzinfo=UTC)
    return _within(name, (moment - now).total_seconds())


def from_now(name: str, value: Any, now: datetime) -> float:
    """Seconds from `now`, below 0 where that is over: a datetime with a zone, its ISO text, seconds, a `timedelta`.
    Raises `TypeError`."""
    if isinstance(value, datetime | str):
        return wait(name, value, now)
    if isinstance(value, int | float | timedelta):
        return seconds(name, value)
    raise TypeError(f"{name}: expected a datetime with a time zone, or seconds from now, got {_shown(value)}")


def unix_ms(name: str, value: Any, now: datetime) -> int:
    """As `from_now`, in milliseconds of Unix time."""
    return int((now.timestamp() + from_now(name, value, now)) * 1000)


def _moment(name: str, value: Any) -> datetime:
    if isinstance(value, datetime):
        return value
    if isinstance(value, str):
        try:
            return datetime.fromisoformat(value)
        except ValueError:
            raise TypeError(f"{name}: expected a datetime, or its text as in 2026-12-24T18:00:00+01:00") from None
    raise TypeError(f"{name}: expected a datetime, got {_shown(value)}")


def _within(name: str, number: float) -> float:
    if number > LONGEST:
        hint = "; for a Unix time write datetime.fromtimestamp(…, UTC)" if number > 10**9 else ""
        raise Unsendable("bad_field", f"{name}: more than ten years from now{hint}")
    return number


def _shown(value: Any) -> str:
    if isinstance(value, str):
        number = value.strip()
        return f"the text {number!r}; write it without quotes" if number.isdigit() and len(number) < 12 else "str"
    if isinstance(value, int | float):
        return repr(value)
    return type(value).__name__
