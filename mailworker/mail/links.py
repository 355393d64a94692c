"""A field that holds links by which a reader unsubscribes: `https:` for one click (RFC 8058), `mailto:` (RFC 2369)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from ..errors import Unsendable
from .email import Limits
from .formats.php import Value
from .parts import Parts
from .text import text_of

_LINK: Final = re.compile(r"(?:https?://|mailto:)[!#-;=?-~]+", re.IGNORECASE)  # ASCII that needs no angle, no quote
_LONGEST: Final = 900
"""Characters: it stands on one line, which has 998 octets at most, and is never encoded."""
_MOST: Final = 16 * 1024
"""Characters of all: relays cut off longer headers."""


@dataclass(frozen=True, slots=True)
class Links:
    """One link, or a list of them."""

    def from_value(self, name: str, value: Value, _: Limits) -> tuple[str, ...]:
        if value is None:
            return ()
        items = list(value.values()) if isinstance(value, dict) else [value]
        if not all(isinstance(item, bytes) for item in items):
            raise Unsendable("bad_field", f"{name}: neither a link nor an array of links")
        return _each_once(name, [item.decode("utf-8", "replace") for item in items if isinstance(item, bytes)])

    def from_argument(self, name: str, value: Any, _: Limits) -> tuple[str, ...]:
        if not isinstance(value, list | tuple):
            return _each_once(name, [text_of(name, value, "a link, or a list of them")])
        return _each_once(name, [text_of(f"{name}[{index}]", item) for index, item in enumerate(value)])

    def to_frame(self, content: tuple[str, ...], _: list[bytes]) -> list[str]:
        return list(content)

    def from_frame(self, value: list[str], _: Parts) -> tuple[str, ...]:
        return tuple(value)

    def size(self, content: tuple[str, ...]) -> int:
        return sum(map(len, content))


def _each_once(name: str, links: list[str]) -> tuple[str, ...]:
    stripped = [link.strip().removeprefix("<").removesuffix(">") for link in links]
    for index, link in enumerate(stripped):
        place = f"{name}[{index}]" if len(stripped) > 1 else name
        if not _LINK.fullmatch(link) or link.lower().startswith("http:"):
            raise Unsendable("bad_field", f"{place}: expected https://… or mailto:…, in ASCII (else %-encoded)")
        if len(link) > _LONGEST:
            raise Unsendable("too_large", f"{place}: {len(link)} characters, more than {_LONGEST}")
    if sum(map(len, stripped)) > _MOST:
        raise Unsendable("too_large", f"{name}: {sum(map(len, stripped))} characters, more than {_MOST}")
    return tuple(dict.fromkeys(stripped))
