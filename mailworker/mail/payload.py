"""From the exact octets on the list to the values of a mail: which format is it, and what does it hold?

PHP's `serialize()`, JSON of the same shape, igbinary and msgpack, each of them perhaps inside one more string, as
phpredis wraps it with `OPT_SERIALIZER`, and perhaps compressed as a whole (`OPT_COMPRESSION`). Told apart by the first
octets.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from ..errors import Unsendable
from .fields import PLAIN_NAMES
from .formats import compression, igbinary, messagepack, php
from .formats.php import Opaque, Value

MAX_WRAPS: Final = 3

WANTED: Final = frozenset(name.encode("ascii") for name in PLAIN_NAMES)
"""The keys of an entry that a mail is made of. All others are left unread."""

_PHP = (b"a", b"s", b"S", b"i", b"d", b"b", b"N")
_OBJECTS = (b"O:", b"C:", b"E:")
_PACKED = 0x80  # below it msgpack has numbers only
_JSON_SPACE = b" \t\r\n"
_MOST_SPACE = 1024


class Wanted(NamedTuple):
    """What of an entry is read: these keys, and arrays so many levels deep, that of the entry counted."""

    keys: frozenset[bytes] = WANTED
    levels: int = 2


USUAL: Final = Wanted()


def read(raw: bytes, limit: int, wanted: Wanted = USUAL) -> tuple[Mapping[bytes, Value], int]:
    """The mail's fields by name, and how many octets followed its value, which are ignored, as PHP ignores them.

    What was compressed may have `limit` octets. Raises `Unsendable`; its reasons are those of `php.unserialize` and
    `compression.expand`, and `json_syntax`, `format`, `not_a_mail`.
    """
    value, ignored = _outermost(raw, limit, wanted)
    for _ in range(MAX_WRAPS):
        if not isinstance(value, bytes):
            break
        value, more = _decode(value, wanted)
        ignored += more
    if not isinstance(value, dict):
        raise Unsendable("not_a_mail", f"holds {_noun(value)}, not an array with to, subject and body")
    return {key: value[key] for key in wanted.keys if key in value}, ignored


def _outermost(raw: bytes, limit: int, wanted: Wanted) -> tuple[Value, int]:
    """The entry's own value; phpredis compresses after it wrapped, and once."""
    method = compression.method_of(raw)
    if method is None:
        return _decode(raw, wanted)
    if method == "zstd":
        return _decode(compression.expand(raw, method, limit), wanted)
    return _perhaps_compressed(raw, method, limit, wanted)


def _perhaps_compressed(raw: bytes, method: str, limit: int, wanted: Wanted) -> tuple[Value, int]:
    """One JSON text in some hundreds may begin as LZ4 does, and one with blanks before it as LZF does."""
    try:
        return _decode(raw, wanted)
    except Unsendable:
        if raw.startswith(igbinary.HEADS) or (method == "lzf" and not _begins(compression.lzf_head(raw))):
            raise
    return _decode(compression.expand(raw, method, limit), wanted)


def _begins(head: bytes) -> bool:
    """True where something that a mail may be begins so."""
    return head.lstrip(_JSON_SPACE)[:1] in (b"{", b"[", b'"') or head[:1] in _PHP or _is_packed(head)


def _is_packed(head: bytes) -> bool:
    return head.startswith(igbinary.HEADS) or head[:1] >= bytes([_PACKED])


def _decode(data: bytes, wanted: Wanted) -> tuple[Value, int]:
    if not data:
        raise Unsendable("empty", "the entry has no octets")
    head = data[:_MOST_SPACE].lstrip(_JSON_SPACE)[:1]
    if head and head in b'{["':
        return _json(data, wanted), 0
    if data[:1] in _PHP or data[:2] in _OBJECTS:
        value, end = php.unserialize(data, wanted.keys, wanted.levels)
        return value, len(data) - end
    if data.startswith(igbinary.HEADS):
        return igbinary.read(data), 0
    if data[0] < _PACKED:
        raise Unsendable("format", "neither serialize(), JSON, igbinary nor msgpack")
    return messagepack.read(data), 0


def _json(data: bytes, wanted: Wanted) -> Value:
    if _json_marks(data) > php.MAX_VALUES and _json_marks(_without_strings(data)) > php.MAX_VALUES:
        raise _too_many_values()
    try:
        value = json.loads(data.decode("utf-8"), parse_constant=_no_constant)
    except RecursionError:
        raise Unsendable("too_deep", "JSON nested too deep") from None
    except ValueError as error:
        detail = error.msg if isinstance(error, json.JSONDecodeError) else type(error).__name__
        raise Unsendable("json_syntax", f"not valid JSON: {detail}") from None
    return _from_json(value, wanted.levels, wanted.keys)


def _json_marks(data: bytes) -> int:
    """At least as many as there are values in `data`, not counting the outermost."""
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


def _from_json(value: Any, levels: int, wanted: frozenset[bytes] | None) -> Value:
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
        if wanted is None or name in wanted:
            fields[php.array_key(name)] = _from_json(item, levels - 1, None)
    return fields


def _noun(value: Value) -> str:
    if isinstance(value, bytes):
        return "a string"
    return "null" if value is None else f"a value of type {type(value).__name__}"
