"""How people write numbers, durations, sizes and choices: text becomes a value, or a `ValueError` with the problem.

`2d`, `1h30m`, `500ms`, `25M`, `25MiB`, `1_000`. A size's K, M and G are steps of 1,024, also with B or iB behind them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from typing import Any, Final

_NUMBER: Final = r"(?:[0-9]{1,3}(?:_[0-9]{3})+|[0-9]{1,30})(?:\.[0-9]{1,30})?|\.[0-9]{1,30}"
_SIGNED: Final = re.compile(rf"([+-]?)({_NUMBER})\s*([A-Za-z]*)")
_PART: Final = re.compile(rf"({_NUMBER})\s*([A-Za-z]+)\s*")
_SECONDS: Final[dict[str, float]] = {
    **dict.fromkeys(("ms", "msec", "millisecond", "milliseconds"), 0.001),
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), 60),
    **dict.fromkeys(("h", "hr", "hour", "hours"), 3600),
    **dict.fromkeys(("d", "day", "days"), 86_400),
    **dict.fromkeys(("w", "week", "weeks"), 7 * 86_400),
}
_OCTETS: Final[dict[str, float]] = {
    **dict.fromkeys(("b", "byte", "bytes", "octet", "octets"), 1),
    **dict.fromkeys(("k", "kb", "kib"), 1024),
    **dict.fromkeys(("m", "mb", "mib"), 1024**2),
    **dict.fromkeys(("g", "gb", "gib"), 1024**3),
}
_TRUE: Final = ("true", "yes", "on", "1", "t", "y")
_FALSE: Final = ("false", "no", "off", "0", "f", "n")
_LONGEST: Final = 40
_FEW: Final = 999_999


def seconds(largest: float) -> Callable[[Any], Any]:
    """A reader of durations above 0, up to `largest` seconds."""

    def read(value: Any) -> Any:
        return _within(value, _duration(value), 0, largest, _length(largest), excluded=True)

    return read


def octets(largest: int) -> Callable[[Any], Any]:
    """A reader of sizes from 1 octet on."""

    def read(value: Any) -> Any:
        number = _with_unit(value, _OCTETS, "a size: octets, or with a unit as in 25M")
        return int(_within(value, number, 1, largest, f"1 octet to {_size(largest)}"))

    return read


def whole(smallest: int, largest: int, what: str) -> Callable[[Any], Any]:
    """A reader of whole numbers of `what`."""

    def read(value: Any) -> Any:
        number = _with_unit(value, {}, "a whole number")
        bounds = f"{_grouped(smallest)} to {_grouped(largest)} {what}"
        _within(value, number, smallest, largest, bounds)
        if number != int(number):
            raise ValueError(f"{_shown(value)} is not a whole number: {bounds}")
        return int(number)

    return read


def flag(value: Any) -> Any:
    """true or false, as people write them."""
    if not isinstance(value, str):
        return value
    text = value.lower()
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    raise ValueError(f"{_shown(value)} is neither true nor false{did_you_mean(text, ('true', 'false'))}")


def choice(*known: str) -> Callable[[Any], Any]:
    """A reader of one of these words."""

    def read(value: Any) -> Any:
        if not isinstance(value, str) or value.lower() in known:
            return value.lower() if isinstance(value, str) else value
        raise ValueError(f"{_shown(value)} is not {' or '.join(map(repr, known))}{did_you_mean(value.lower(), known)}")

    return read


def did_you_mean(word: str, known: Iterable[str], wrap: str = "{}") -> str:
    """`; did you mean …?` where one of the known words is near, else nothing."""
    near = get_close_matches(word, list(known), 1)
    return f"; did you mean {wrap.format(near[0])}?" if near else ""


def _duration(value: Any) -> float:
    parts = _PART.findall(value) if isinstance(value, str) else []
    if len(parts) > 1 and _PART.sub("", value) == "" and all(unit.lower() in _SECONDS for _, unit in parts):
        return math.fsum(_float(number) * _SECONDS[unit.lower()] for number, unit in parts)
    return _with_unit(value, _SECONDS, "a duration: seconds, or with a unit as in 30s, 15m, 2h, 3d")


def _with_unit(value: Any, units: Mapping[str, float], what: str) -> float:
    if not isinstance(value, str):
        if isinstance(value, int | float) and not isinstance(value, bool):
            return value
        raise ValueError(f"is not {what}")
    match = _SIGNED.fullmatch(value)
    unit = match[3].lower() if match else ""
    if match is None or (unit and unit not in units):
        raise ValueError(f"{_shown(value)} is not {what}{_hint(value, unit if match else '', units)}")
    number = _float(match[2]) * units.get(unit, 1)
    return -number if match[1] == "-" else number


def _hint(value: str, unit: str, units: Mapping[str, float]) -> str:
    if re.fullmatch(r"[0-9]+,[0-9]+", value):
        return f"; did you mean {value.replace(',', '_' if re.search(',[0-9]{3}$', value) else '.')}?"
    if unit and not units:
        return f"; it takes no unit such as {unit!r}" if len(unit) <= 8 else ""
    if not unit:
        return ""
    return f"; {unit!r} is no unit here" if len(unit) <= 8 else ""


def _float(text: str) -> float:
    plain = text.replace("_", "")
    return float(plain) if "." in plain else int(plain)


def _within(value: Any, number: float, smallest: float, largest: float, bounds: str, excluded: bool = False) -> float:
    if math.isnan(number) or number < smallest or (excluded and number <= smallest):
        raise ValueError(f"{_shown(value)} is too small: {bounds}")
    if number > largest:
        raise ValueError(f"{_shown(value)} is too large: {bounds}")
    return number


def _length(largest: float) -> str:
    days = largest / 86_400
    return f"above 0 up to {days:g} days" if days >= 1 else f"above 0 up to {largest:g} seconds"


def _size(octets_: int) -> str:
    return f"{octets_ // 2**30} GiB" if octets_ >= 2**30 else f"{octets_} octets"


def _grouped(number: int) -> str:
    return f"{number:,}" if number > _FEW else str(number)


def _shown(value: Any) -> str:
    """The value where it may be shown: what is long, or looks like a URL or a login, may hold a password."""
    text = str(value)
    if len(text) > _LONGEST or not text.isprintable() or any(mark in text for mark in ("://", "@", ":")):
        return "the value"
    return text
