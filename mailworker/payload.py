"""From the exact octets on the list to the values of a mail: which format is it, and what does it hold?

PHP's `serialize()`, JSON of the same shape, and either of them inside one more string, as phpredis wraps it with
`OPT_SERIALIZER` (PHP, JSON, igbinary, msgpack). Told apart by the first octets.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import Any, Final

from . import php
from .errors import Unsendable
from .php import Opaque, Value

WANTED: Final = frozenset((b"to", b"subject", b"body"))
MAX_WRAPS: Final = 3

_OBJECTS = (b"O:", b"C:", b"E:")
_JSON_SPACE = b" \t\r\n"
_MOST_SPACE = 1024


class Trailing(int):
    """How many octets followed the value and were ignored, as PHP ignores them."""


def read(raw: bytes) -> tuple[Mapping[bytes, Value], Trailing]:
    """The mail's fields by name, and the count of ignored octets at the end.

    Raises `Unsendable`; its reasons are those of `php.unserialize` and `json_syntax`, `format`, `not_a_mail`.
    """
    value: Value = raw
    trailing = 0
    for _ in range(MAX_WRAPS + 1):
        if not isinstance(value, bytes):
            break
        value, ignored = _decode(value)
        trailing += ignored
    if not isinstance(value, dict):
        raise Unsendable("not_a_mail", f"holds {_kind(value)}, not an array with to, subject and body")
    return {key: field for key, field in value.items() if isinstance(key, bytes)}, Trailing(trailing)


def _decode(data: bytes) -> tuple[Value, int]:
    if not data:
        raise Unsendable("empty", "the entry has no octets")
    head = data[:_MOST_SPACE].lstrip(_JSON_SPACE)[:1]
    if head and head in b'{["':
        return _json(data), 0
    if data[:1] in (b"a", b"s", b"S", b"i", b"d", b"b", b"N") or data[:2] in _OBJECTS:
        value, end = php.unserialize(data, WANTED)
        return value, len(data) - end
    if data.startswith(b"\0\0\0\2"):
        return _igbinary_string(data), 0
    return _msgpack_string(data), 0


def _json(data: bytes) -> Value:
    if _json_marks(data) > php.MAX_VALUES and _json_marks(_without_strings(data)) > php.MAX_VALUES:
        raise _too_many_values()
    try:
        value = json.loads(data.decode("utf-8"), parse_constant=_no_constant)
    except RecursionError:
        raise Unsendable("too_deep", "JSON nested too deep") from None
    except ValueError as error:
        detail = error.msg if isinstance(error, json.JSONDecodeError) else type(error).__name__
        raise Unsendable("json_syntax", f"not valid JSON: {detail}") from None
    return _from_json(value, levels=2)


def _json_marks(data: bytes) -> int:
    """No fewer than the values in `data`, but for one."""
    return data.count(b",") + data.count(b"[") + data.count(b"{")


def _without_strings(data: bytes) -> bytes:
    """The JSON text between its strings, as far as it is valid: a body may hold any number of commas."""
    if b"\\" in data:
        data = data.replace(b"\\\\", b"").replace(b'\\"', b"")
    if data.count(b'"') > 4 * php.MAX_VALUES:
        raise _too_many_values()
    return b"".join(data.split(b'"')[::2])


def _too_many_values() -> Unsendable:
    return Unsendable("too_many_values", f"more than {php.MAX_VALUES} values in one entry")


def _no_constant(name: str) -> Any:
    raise Unsendable("json_syntax", f"not valid JSON: {name} is not a number there")


def _from_json(value: Any, levels: int) -> Value:
    if isinstance(value, str):
        # A lone surrogate stays an invalid octet sequence: no address can hold it, no other can be meant.
        return value.encode("utf-8", "surrogatepass")
    if isinstance(value, list):
        value = dict(enumerate(value))
    if not isinstance(value, dict):
        return value  # type: ignore[no-any-return]  # json.loads makes nothing else but these
    if not levels:
        return Opaque()
    fields: dict[php.Key, Value] = {}
    for key, item in value.items():
        name = key.encode("utf-8", "surrogatepass") if isinstance(key, str) else key
        if levels == 1 or name in WANTED:
            fields[php.array_key(name)] = _from_json(item, levels - 1)
    return fields


def _igbinary_string(data: bytes) -> bytes:
    """The one string inside igbinary format 2: type 0x11, 0x12 or 0x13, then its length in 1, 2 or 4 octets."""
    width = {0x11: ">B", 0x12: ">H", 0x13: ">I"}.get(data[4] if len(data) > 4 else 0)
    if width is None:
        raise Unsendable("format", "igbinary that holds something else than one string")
    return _counted(data, 5, width, "igbinary")


def _msgpack_string(data: bytes) -> bytes:
    """The one string inside msgpack: fixstr, str 8, 16 and 32, or bin 8, 16 and 32."""
    head = data[0]
    if 0xA0 <= head <= 0xBF:
        if len(data) != 1 + (head & 0x1F):
            raise Unsendable("format", "neither serialize(), JSON, igbinary nor msgpack")
        return data[1:]
    width = {0xD9: ">B", 0xDA: ">H", 0xDB: ">I", 0xC4: ">B", 0xC5: ">H", 0xC6: ">I"}.get(head)
    if width is None:
        raise Unsendable("format", "neither serialize(), JSON, nor a string in igbinary or msgpack")
    return _counted(data, 1, width, "msgpack")


def _counted(data: bytes, offset: int, width: str, name: str) -> bytes:
    begin = offset + struct.calcsize(width)
    if len(data) < begin or len(data) - begin != struct.unpack_from(width, data, offset)[0]:
        raise Unsendable("format", f"{name} whose length does not match its {len(data)} octets")
    return data[begin:]


def _kind(value: Value) -> str:
    if isinstance(value, bytes):
        return "a string"
    return "null" if value is None else f"a value of type {type(value).__name__}"
