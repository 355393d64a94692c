"""A field that holds headers of the caller's own."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ..errors import Unsendable
from .email import Limits
from .formats import php
from .formats.php import Opaque, Value
from .header import structured
from .parts import Parts, as_octets, as_text
from .text import text_of, utf8

Headers = tuple[tuple[str, bytes], ...]

_NAME: Final = re.compile(r"(?!.*=\?)[!-9;-~]{1,76}")
"""RFC 5322, 2.2, short enough to stand before a value, and nothing that a reader may take for an encoded word."""
_MOST: Final = 56 * 1024
"""Octets of all. In encoded words they are up to 1.75 times as many, and relays cut longer headers off (Postfix,
header_size_limit: 102,400)."""

_ARGUMENTS: Final = {
    "from": "sender", "to": "to", "cc": "cc", "bcc": "bcc", "reply-to": "reply_to", "subject": "subject",
    "return-path": "return_path", "list-unsubscribe": "list_unsubscribe",
    "list-unsubscribe-post": "list_unsubscribe",
}  # fmt: skip
_OURS: Final = frozenset(
    {"sender", "date", "message-id", "mime-version", "received", "dkim-signature", "apparently-to", "delivered-to"}
)
_OUR_PREFIXES: Final = ("content-", "resent-", "arc-")


@dataclass(frozen=True, slots=True)
class OwnHeaders:
    """{name: value}, or a list of values for a header that stands there several times."""

    def from_value(self, name: str, value: Value, _: Limits) -> Headers:
        if value is None:
            return ()
        if not isinstance(value, dict):
            raise Unsendable("bad_field", f"{name}: not an array of names and values")
        return checked(name, _of_entry(name, value.items()))

    def from_argument(self, name: str, value: Any, _: Limits) -> Headers:
        if not isinstance(value, Mapping):
            raise TypeError(f"{name}: expected {{name: value}}, got {type(value).__name__}")
        return checked(name, _of_call(name, value.items()))

    def to_frame(self, content: Headers, _: list[bytes]) -> list[list[str]]:
        return [[name, as_text(value)] for name, value in content]

    def from_frame(self, value: list[list[str]], _: Parts) -> Headers:
        return tuple([(name, as_octets(text)) for name, text in value])

    def size(self, content: Headers) -> int:
        return sum(len(name) + len(value) + 4 for name, value in content)


def _of_call(field: str, items: Iterable[tuple[Any, Any]]) -> Iterator[tuple[str, bytes]]:
    for key, value in items:
        name = text_of(f"{field}: a name", key)
        for text in value if isinstance(value, list | tuple) else (value,):
            yield name, utf8(f"{field}: {_shown(name)}", text_of(f"{field}: {_shown(name)}", text))


def _of_entry(field: str, items: Iterable[tuple[Any, Any]]) -> Iterator[tuple[str, bytes]]:
    for key, value in items:
        if not isinstance(key, bytes):
            raise Unsendable("bad_field", f"{field}: a header without a name")
        name = key.decode("utf-8", "replace")
        for text in value.values() if isinstance(value, dict) else (value,):
            if isinstance(text, dict | Opaque):
                raise Unsendable("bad_field", f"{field}: {_shown(name)}: not text")
            yield name, php.text_of(text)


def checked(field: str, headers: Iterable[tuple[str, bytes]]) -> Headers:
    """Raises `Unsendable`."""
    pairs = tuple(headers)
    spelled: dict[str, str] = {}
    for name, value in pairs:
        _check_name(field, name)
        if spelled.setdefault(name.lower(), name) != name:
            raise Unsendable("bad_field", f"{field}: {name} is there twice, as {spelled[name.lower()]} too")
        _check_value(f"{field}: {name}", name, value)
    twice = [name for name, count in Counter([name for name, _ in pairs]).items() if count > 1]
    for name in filter(structured.stands_once, twice):
        raise Unsendable("bad_field", f"{field}: {name} may stand in a mail once: write one value")
    size = sum(len(name) + len(value) + 4 for name, value in pairs)
    if size > _MOST:
        raise Unsendable("too_large", f"{field}: {size} octets, more than {_MOST}")
    return pairs


def _check_name(field: str, name: str) -> None:
    if not _NAME.fullmatch(name):
        raise Unsendable(
            "bad_field", f"{field}: {_shown(name)}: a name is up to 76 characters of ASCII, no blank, no colon"
        )
    lower = name.lower()
    if lower in _ARGUMENTS:
        raise Unsendable("bad_field", f"{field}: {name} has an argument of its own: {_ARGUMENTS[lower]}")
    if lower in _OURS or lower.startswith(_OUR_PREFIXES):
        raise Unsendable("bad_field", f"{field}: {name} is made by mailworker; leave it out")


def _check_value(place: str, name: str, value: bytes) -> None:
    if b"\r" in value or b"\n" in value:
        raise Unsendable("bad_field", f"{place}: holds a line break")
    if any((octet < 0x20 and octet != 0x09) or octet == 0x7F for octet in value):
        raise Unsendable("bad_field", f"{place}: holds a control character")
    if not value.strip():
        raise Unsendable("bad_field", f"{place}: is empty; leave it out")
    if structured.never_encoded(name) and structured.problem(value):
        raise Unsendable("bad_field", f"{place}: {structured.problem(value)}")


def _shown(name: str) -> str:
    return name if name.isascii() and name.isprintable() and len(name) <= 76 else "a header"
