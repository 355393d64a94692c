"""A field that holds text: the subject and the body. As octets, since a legacy one may be in any charset."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..errors import Unsendable
from . import php
from .php import Opaque, Value


@dataclass(frozen=True, slots=True)
class Text:
    """`at_most` so many octets, None for as many as the mail may have."""

    at_most: int | None = None

    def from_value(self, name: str, value: Value) -> bytes:
        if not isinstance(value, bytes):
            if isinstance(value, dict | Opaque):
                raise Unsendable("bad_field", f"{name}: an array, where text is expected")
            value = php.text_of(value)
        if self.at_most is not None and len(value) > self.at_most:
            raise self._too_large(name, value)
        return value

    def from_argument(self, name: str, value: Any) -> bytes:
        if not isinstance(value, str):
            raise TypeError(f"{name}: expected str, got {type(value).__name__}")
        return self.from_value(name, utf8(name, value))

    def to_json(self, content: bytes) -> str:
        return content.decode("utf-8")

    def to_php(self, content: bytes) -> bytes:
        return php.string(content)

    def size(self, content: bytes) -> int:
        return len(content)

    def _too_large(self, name: str, text: bytes) -> Unsendable:
        return Unsendable("too_large", f"{name}: {len(text)} octets, more than {self.at_most}")


def utf8(name: str, text: str) -> bytes:
    """Raises `Unsendable` with reason `bad_text`. `name` is the field's."""
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        raise Unsendable("bad_text", f"{name}: holds a lone surrogate, which is not text") from None
