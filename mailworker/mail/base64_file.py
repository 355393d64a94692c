"""A file as data hold it that came from another program: its octets in base64. No path is ever read of it. Pure."""

from __future__ import annotations

import binascii
from base64 import b64decode
from typing import Any

from ..errors import Unsendable
from .file import File
from .formats.php import Opaque, Value
from .given_file import make


def read(place: str, key: str, item: Value) -> File:
    """The base64 of the file that the key names, or an array with `name`, `content` and perhaps `type`."""
    if isinstance(item, bytes):
        return make(place, key, _octets(place, item), None)
    if not isinstance(item, dict) or not isinstance(item.get(b"content"), bytes):
        raise Unsendable("bad_field", f"{place}: neither base64 nor an array with name and content")
    content = item[b"content"]
    name, type_ = (_text(f"{place}: {what}", item.get(what.encode())) for what in ("name", "type"))
    return make(place, key if name is None else name, _octets(place, content), type_)


def as_value(value: Any) -> Value:
    """What JSON made is as an entry would have it."""
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass")
    if isinstance(value, list | tuple):
        return {at: as_value(item) for at, item in enumerate(value)}
    if isinstance(value, dict):
        return {str(key).encode("utf-8", "surrogatepass"): as_value(item) for key, item in value.items()}
    return value if value is None or isinstance(value, bool | int | float | bytes) else Opaque()


def _text(place: str, value: Value) -> str | None:
    if value is None:
        return None
    if not isinstance(value, bytes):
        raise Unsendable("bad_field", f"{place}: not text")
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        raise Unsendable("bad_text", f"{place}: not valid UTF-8") from None


def _octets(place: str, text: Value) -> bytes:
    assert isinstance(text, bytes)
    try:
        return b64decode(text.translate(None, b" \t\r\n"), validate=True)
    except binascii.Error:
        raise Unsendable("bad_field", f"{place}: its content is not base64") from None
