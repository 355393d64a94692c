"""A field that holds text: the subject, the body, the HTML. As octets, since a legacy one may be in any charset."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from ..errors import Unsendable
from .email import Limits
from .formats import php
from .formats.php import Opaque, Value
from .parts import Parts, as_octets, as_text


@dataclass(frozen=True, slots=True)
class Text:
    """`at_most` so many octets, None for as many as the mail may have. In a frame it stands `apart`, as it is."""

    at_most: int | None = None
    apart: bool = False

    def from_value(self, name: str, value: Value, _: Limits) -> bytes:
        if not isinstance(value, bytes):
            if isinstance(value, dict | Opaque):
                raise Unsendable("bad_field", f"{name}: an array, where text is expected")
            value = php.text_of(value)
        if self.at_most is not None and len(value) > self.at_most:
            raise self._too_large(name, value)
        return value

    def from_argument(self, name: str, value: Any, limits: Limits) -> bytes:
        return self.from_value(name, utf8(name, text_of(name, value)), limits)

    def to_json(self, content: bytes) -> str:
        return content.decode("utf-8")

    def to_frame(self, content: bytes | None, parts: list[bytes]) -> str | int | None:
        if content is None or not self.apart:
            return content if content is None else as_text(content)
        parts.append(content)
        return len(content)

    def from_frame(self, value: Any, parts: Parts) -> bytes | None:
        if value is None or not self.apart:
            return value if value is None else as_octets(value)
        return parts.take(value)

    def to_php(self, content: bytes) -> bytes:
        return php.string(content)

    def size(self, content: bytes | None) -> int:
        return len(content) if content else 0

    def _too_large(self, name: str, text: bytes) -> Unsendable:
        return Unsendable("too_large", f"{name}: {len(text)} octets, more than {self.at_most}")


def utf8(name: str, text: str) -> bytes:
    """Raises `Unsendable` with reason `bad_text`. `name` is the field's."""
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        raise Unsendable("bad_text", f"{name}: holds a lone surrogate, which is not text") from None


_LAZY: Final = frozenset({"LazyProxy", "LazyString", "Promise"})
"""Babel's, Flask-Babel's and Django's."""


def text_of(name: str, value: Any, expected: str = "str") -> str:
    """A `str`, or what a `gettext_lazy` made, in the language of this moment. Raises `TypeError`."""
    if isinstance(value, str):
        return value if type(value) is str else exact(value)
    if is_lazy(value):
        return str(value)
    raise TypeError(f"{name}: expected {expected}, got {type(value).__name__}")


def exact(text: str) -> str:
    """The characters of a `str` of any class: a member of an `Enum` is another text where it is formatted."""
    return str.__str__(text)


def is_lazy(value: Any) -> bool:
    """A text that is translated when it is asked for."""
    return any(kind.__name__ in _LAZY for kind in type(value).__mro__)
