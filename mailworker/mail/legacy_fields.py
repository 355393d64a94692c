"""What an entry may have beside `to`, `subject` and `body`, where a site allows it (`MAILWORKER_LEGACY_FIELDS`).

Nothing of it counts by default: producers have pushed such keys for years, and nobody obeyed them.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from ..errors import NotYet, Unsendable
from . import moments
from .complete import finished
from .email import Email, Limits
from .fields import FIELDS, PLAIN, PLAIN_NAMES
from .formats.php import Value
from .payload import WANTED, Wanted

TIMES: Final = ("send_at", "expires")
NAMES: Final = (*[field.name for field in FIELDS if field.name not in PLAIN_NAMES and field.name != "dsn"], *TIMES)

_NONE_IF_EMPTY: Final = frozenset(NAMES) - {"html", "return_path"}
"""Producers push a text without a character where there is none."""
_LEVELS: Final = 3
"""Of arrays: that of the entry, of its files, and of a file."""


@lru_cache(maxsize=8)
def wanted(allowed: frozenset[str]) -> Wanted:
    """What of an entry counts."""
    return Wanted(WANTED | {name.encode("ascii") for name in allowed}, _LEVELS)


def read(values: Mapping[bytes, Value], limits: Limits) -> Email:
    """The mail of an entry that has some of them. Raises `Unsendable`."""
    contents = {}
    for field in FIELDS:
        key = field.name.encode("ascii")
        if key in values and not (values[key] in (None, b"") and field.name in _NONE_IF_EMPTY):
            contents[field.name] = field.kind.from_value(field.name, values[key], limits)
    for field in PLAIN:
        if field.name not in contents and not (field.name == "body" and contents.get("html")):
            raise Unsendable("missing_field", f"{field.name}: missing")
    return finished(Email(**{"body": None, **contents}), has_body="body" in contents)


def check_times(values: Mapping[bytes, Value], now: float) -> None:
    """`now` is Unix time in seconds. Raises `Unsendable` where the mail was to be sent earlier, `NotYet` where it is to
    wait."""
    send_at, expires = (_moment(name, values.get(name.encode("ascii"))) for name in TIMES)
    if expires is not None and expires <= now:
        raise Unsendable("expired", "expires: it was to be sent earlier, or not at all")
    if send_at is not None and send_at > now:
        raise NotYet(send_at - now)


def _moment(name: str, value: Value) -> float | None:
    """Unix time, or a text with date, time and zone. An entry does not say when it was pushed: no number of seconds."""
    if value is None or value == b"":
        return None
    if isinstance(value, bytes):
        text = value.decode("utf-8", "replace").strip()
        if not text.isascii() or not text.isdigit():
            return _of_text(name, text)
        value = int(text[:15])
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unsendable("bad_field", f"{name}: neither a Unix time nor a text as 2026-12-24T18:00:00+01:00")
    if not moments.LONGEST < value < 10**11:
        raise Unsendable("bad_field", f"{name}: is no Unix time; a number of seconds from now means nothing here")
    return float(value)


def _of_text(name: str, text: str) -> float:
    now = datetime.now(UTC)
    try:
        return now.timestamp() + moments.from_now(name, text, now)
    except TypeError as error:
        raise Unsendable("bad_field", str(error)) from None
