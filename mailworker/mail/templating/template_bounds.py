"""What one step of a template may make: a mail is small, and a few characters would fill the memory. Pure.

A text is bounded where it is made, since what is made of it again would be larger each time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, Final

from jinja2.exceptions import SecurityError

LONGEST: Final = 32 * 1024 * 1024
"""Characters of what a template makes: more is no mail, but a loop without an end."""
_FILLED: Final = "a text that is filled up too far"
_WIDEST: Final = 100_000
_LARGEST_POWER: Final = 1_000
_WIDE_PERCENT: Final = re.compile(r"%(?:\([^)]*\))?[-#0 +]*[0-9]*\.?(?:\*|[0-9]{6})")
"""`%999999d`, or a width that is passed."""
_WIDE_BRACES: Final = re.compile(r"\{[^{}]*:[^{}]*(?:[0-9]{6}|\{)")
"""`{:>999999}`, or a width that is passed."""
_FILLING: Final = frozenset(("batch", "center", "indent", "slice", "tojson"))
"""Filters that fill up to a number."""
_GROWING: Final = frozenset(("format", "join", "replace", "sum", "urlize", "wordwrap", "xmlattr"))


def check_operator(operator: str, left: Any, right: Any) -> None:
    """Raises `SecurityError`."""
    if operator == "**" and not (_is_small(left) and _is_small(right)):
        raise SecurityError("a power of large numbers")
    if operator == "+" and _length(left, 1) + _length(right, 1) > LONGEST:
        raise SecurityError("a text that grows too long")
    if operator == "*" and max(_length(left, right), _length(right, left)) > LONGEST:
        raise SecurityError("a text repeated too often")
    if operator == "%" and isinstance(left, str) and _WIDE_PERCENT.search(left):
        raise SecurityError(_FILLED)


def check_call(function: Any, passed: Iterable[Any]) -> None:
    """Of a method of a text. Raises `SecurityError`."""
    function = getattr(function, "__wrapped__", function)  # Jinja2 wraps `format`
    text = getattr(function, "__self__", None)
    if not isinstance(text, str):
        return
    values = list(passed)
    name = getattr(function, "__name__", "")
    braces = name in ("format", "format_map") and _WIDE_BRACES.search(text.replace("{{", "").replace("}}", ""))
    if braces or (name not in ("format", "format_map") and not all(map(_is_narrow, values))):
        raise SecurityError(_FILLED)
    if name == "replace":
        _check_replaced(text, values)


def bounded(made: Any) -> Any:
    """What was made. Raises `SecurityError`."""
    if isinstance(made, str | list | tuple) and len(made) > LONGEST:
        raise SecurityError("a text that grows too long")
    return made


def joined(pieces: Iterable[str]) -> str:
    """As `"".join`. Raises `SecurityError`."""
    pieces = list(pieces)
    if sum(map(len, pieces)) > LONGEST:
        raise SecurityError("a text that grows too long")
    return "".join(pieces)


def filters(those: dict[str, Callable[..., Any]]) -> dict[str, Callable[..., Any]]:
    """Jinja2's, those within their bounds that make more than they get."""
    return {**those, **{name: _within(name, those[name]) for name in (*_FILLING, *_GROWING) if name in those}}


def _within(name: str, made_by: Callable[..., Any]) -> Callable[..., Any]:
    first = 1 if hasattr(made_by, "jinja_pass_arg") else 0

    @wraps(made_by)  # what Jinja2 is to pass stands in an attribute
    def checked(*args: Any, **kwargs: Any) -> Any:
        value, *passed = (*args[first:], *kwargs.values())
        wide = name == "format" and isinstance(value, str) and _WIDE_PERCENT.search(value)
        if wide or (name in _FILLING and not all(map(_is_narrow, passed))):
            raise SecurityError(_FILLED)
        if name == "replace":
            _check_replaced(value, passed)
        return bounded(made_by(*args, **kwargs))

    return checked


def _is_small(value: Any) -> bool:
    return not isinstance(value, int) or abs(value) <= _LARGEST_POWER


def _is_narrow(value: Any) -> bool:
    return not isinstance(value, int) or abs(value) <= _WIDEST


def _length(value: Any, times: Any) -> int:
    return len(value) * times if isinstance(value, str | list | tuple) and isinstance(times, int) else 0


def _check_replaced(text: Any, passed: list[Any]) -> None:
    if len(passed) < 2 or not all(isinstance(value, str) for value in (text, *passed[:2])):
        return
    old, new = passed[:2]
    if len(text) + text.count(old) * len(new) > LONGEST:
        raise SecurityError("a text that grows too long")
