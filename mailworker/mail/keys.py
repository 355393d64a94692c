"""The id of a mail that a caller chose, by itself or as a key under which a mail is accepted once. Pure."""

from __future__ import annotations

from hashlib import sha256
from typing import Any, Final

from ..errors import Unsendable
from .text import exact

_LONGEST_ID: Final = 255
_LONGEST_KEY: Final = 256


def mail_id(name: str, value: Any) -> str | None:
    """An id as it was chosen; None for none. Raises `TypeError`."""
    if value is None or isinstance(value, str):
        if value and not _is_id(value):
            raise TypeError(f"{name}: expected up to {_LONGEST_ID} printable characters")
        return exact(value) if value else None
    raise TypeError(f"{name}: expected a string, got {type(value).__name__}")


def id_of_key(name: str, value: Any) -> str:
    """The key itself where it can be an id, else its SHA-256. Raises `TypeError`, `Unsendable`."""
    if not isinstance(value, str):
        raise TypeError(f"{name}: expected a string, got {type(value).__name__}")
    if not value.strip() or len(value) > _LONGEST_KEY:
        raise Unsendable("bad_field", f"{name}: {len(value.strip())} characters, expected 1 to {_LONGEST_KEY}")
    return exact(value) if _is_id(value) else sha256(value.encode("utf-8", "surrogatepass")).hexdigest()


def _is_id(text: str) -> bool:
    return len(text) <= _LONGEST_ID and text.isprintable()
