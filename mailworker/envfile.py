"""The file `.env`: names and values, or one line that says where it cannot be read as it was meant.

python-dotenv passes over a line that it cannot read, and a quote that does not close takes the lines behind it along: a
worker would go on with the defaults. Only what concerns us is judged; the file may be another program's, too.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from .errors import SettingsError

if TYPE_CHECKING:
    from dotenv.parser import Binding

NAME: Final = ".env"
_OURS: Final = re.compile(r"(?:MAILWORKER|FLOWER)_", re.IGNORECASE)
_OPEN_QUOTE: Final = re.compile(r"""=\s*(?:'[^']*|"[^"]*)\Z""")
_VARIABLE: Final = re.compile(r"\$\{([^}:]*)(:-[^}]*)?\}")


def read() -> dict[str, str]:
    """What the file in the current folder says of names like ours, if there is one. Raises `SettingsError`."""
    path = Path(NAME)
    if not path.is_file():
        return {}
    try:
        text = path.read_text("utf-8-sig")
    except UnicodeDecodeError:
        raise SettingsError(f"{NAME}: cannot be read: it is not UTF-8 text") from None
    except OSError as error:
        raise SettingsError(f"{NAME}: cannot be read: {error.strerror}") from None
    values: dict[str, str] = {}
    lines: dict[str, int] = {}
    for binding in _bindings(text):
        name, value, line = binding.key, binding.value, _line(binding)
        if name is None or not _OURS.match(name):
            continue
        if value is None:
            raise SettingsError(f"{NAME}: line {line}: {name} has no = and value behind it")
        value = _filled(value, values, line)
        if values.get(name, value) != value:
            raise SettingsError(f"{NAME}: line {line}: {name} has another value in line {lines[name]} already")
        values[name], lines[name] = value, line
    return values


def _bindings(text: str) -> Iterator[Binding]:
    from dotenv.parser import parse_stream  # noqa: PLC0415 - only where there is a file

    for binding in parse_stream(io.StringIO(text)):
        line, original = _line(binding), binding.original.string
        if binding.error and _OURS.search(original):
            raise SettingsError(f"{NAME}: line {line}: {_problem(original)}")
        if binding.value is not None and "\n" in binding.value.strip() and _OURS.search(original):
            raise SettingsError(f"{NAME}: line {line}: a quote does not close")
        yield binding


def _line(binding: Binding) -> int:
    """The number of the line in which the name stands: python-dotenv counts from the empty lines before it."""
    text = binding.original.string
    return binding.original.line + text[: len(text) - len(text.lstrip())].count("\n")


def _problem(original: str) -> str:
    first = original.strip().splitlines()[0]
    return "a quote does not close" if _OPEN_QUOTE.search(first) else "is not NAME=value"


def _filled(value: str, before: dict[str, str], line: int) -> str:
    """With `${NAME}` and `${NAME:-default}` filled in, as python-dotenv does."""

    def fill(match: re.Match[str]) -> str:
        name, default = match[1], match[2]
        known = os.environ.get(name, before.get(name))
        if known is None and default is None:
            raise SettingsError(f"{NAME}: line {line}: ${{{name}}} is not set")
        return known if known is not None else default[2:]

    return _VARIABLE.sub(fill, value)
