"""The type of a file, as its Content-Type says it (RFC 2045, 5.1). Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from ..errors import Unsendable

DEFAULT: Final = "application/octet-stream"

_WORD = r"[!#$%&'*+.^_`{|}~0-9A-Za-z-]{1,127}"
_PARAMETER: Final = re.compile(rf';[ \t]*({_WORD})=({_WORD}|"(?![^"]*=\?)[ !#-\[\]-~]{{0,500}}")[ \t]*')
_TYPE: Final = re.compile(rf"({_WORD})/({_WORD})[ \t]*")
_LOOK: Final = 1000
_LONGEST: Final = 4000
"""Characters of a type with its parameters."""
_HEADER: Final = re.compile(rb"[!-9;-~]+[ \t]*:")
_OURS: Final = frozenset({"name", "filename", "boundary"})  # `name*0*` as well: RFC 2231's ways to write it
_WRITTEN: Final = re.compile(r'; ([^=]+)=([^";]+|"[^"]*")')


@dataclass(frozen=True, slots=True)
class MediaType:
    """A type in its parts, for who writes it."""

    kind: str
    """In small letters: `text/calendar`."""
    parameters: tuple[tuple[str, str], ...]
    """Their names in small letters, and their values with their quotes."""

    def has(self, parameter: str) -> bool:
        return any([name == parameter for name, _ in self.parameters])

    def written(self) -> bytes:
        """The value of a Content-Type, each parameter in a line of its own."""
        return ";\r\n ".join((self.kind, *[f"{name}={value}" for name, value in self.parameters])).encode("ascii")


@lru_cache(maxsize=256)
def read(text: str) -> MediaType:
    """What `check` let pass. Raises `Unsendable` for all else."""
    written = check("attachments", text)
    return MediaType(written.partition(";")[0], tuple(_WRITTEN.findall(written)))


def check(place: str, text: str) -> str:
    """The type in its usual spelling: `text/calendar; method=REQUEST`. Raises `Unsendable`."""
    match = _TYPE.match(text)
    if match is None or len(text) > _LONGEST:
        raise _bad(place)
    written = f"{match[1]}/{match[2]}".lower()
    if written.startswith("multipart/") or written in ("message/partial", "message/external-body"):
        raise Unsendable("bad_field", f"{place}: {written} is no file; attach what is in it")
    position, seen = match.end(), set()
    while position < len(text):
        parameter = _PARAMETER.match(text, position)
        if parameter is None or parameter[1].lower() in seen:
            raise _bad(place)
        seen.add(parameter[1].lower())
        if _is_kept(parameter[1].lower(), parameter[2]):
            written += f"; {parameter[1].lower()}={parameter[2]}"
        position = parameter.end()
    return written


def _is_kept(name: str, value: str) -> bool:
    own, star, _ = name.partition("*")
    return own not in _OURS and (own != "charset" or not (star or value == '""'))


def _bad(place: str) -> Unsendable:
    return Unsendable("bad_field", f"{place}: expected type/subtype, as in application/pdf")


def check_message(place: str, content: bytes) -> None:
    """A message that is attached goes as it is (RFC 2046, 5.2.1: no transfer encoding but 7bit and 8bit). Raises
    `Unsendable` where it begins with no header."""
    if not _HEADER.match(content[:_LOOK]):
        raise Unsendable("bad_field", f"{place}: message/rfc822, and does not begin with a header as a mail does")
