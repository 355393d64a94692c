"""What phpredis's `OPT_COMPRESSION` made of a value: LZF, ZSTD or LZ4, told apart by their first octets.

Formats: phpredis `library.c` (`redis_compress`), liblzf's `lzf_d.c`, and the libraries of the other two. What was
compressed begins like none of the formats that a mail may have uncompressed:

- ZSTD begins with its magic number.
- LZ4 has a header of its own: CRC-8 of the four octets of the length, then these. A text that begins with anything
  that can be typed claims a length of half a gigabyte there.
- LZF has no header. It begins with a run of literals, so with an octet below 32.

A value that did not get smaller, or could not be compressed, is stored as it is, and read as such.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ...errors import Unsendable

LZF_STEPS: Final = 2**20
"""Literal runs and back references in one entry: bounds the time to some tenths of a second. A mail of some megabytes
has fewer: text has seven octets a step or more, what cannot be compressed 32."""

_ZSTD = b"\x28\xb5\x2f\xfd"
_LZ4_HEADER: Final = 5
_LZ4_RATIO: Final = 255
_LZF_LITERALS: Final = 32


def method_of(data: bytes) -> str | None:
    """`zstd`, `lz4`, `lzf` (which it only may be), or None."""
    if data.startswith(_ZSTD):
        return "zstd"
    if len(data) > _LZ4_HEADER and data[4] < _LZF_LITERALS and data[0] == _crc8(data[1:5]):
        return "lz4"
    return "lzf" if data[:1] < b" " and data else None


def expand(data: bytes, method: str, limit: int) -> bytes:
    """What was compressed. Raises `Unsendable` with reason `format`, `too_large` or `too_many_values`.

    Never holds more than `limit` octets and never begins where a header promises more.
    """
    return _EXPANDERS[method](data, limit)


def lzf_head(data: bytes) -> bytes:
    """The first octets of what may be LZF: its first run, cheap to look at."""
    return data[1 : 2 + data[0]]


def _zstd(data: bytes, limit: int) -> bytes:
    import zstandard  # noqa: PLC0415 - few sites have it, and nobody else should wait for it

    try:
        size = zstandard.frame_content_size(data)
        if size > limit:
            raise _too_large(limit)
        if size < 0:
            raise _broken("zstd")
        return zstandard.ZstdDecompressor().decompress(data, allow_extra_data=False) if size else b""
    except zstandard.ZstdError:
        raise _broken("zstd") from None


def _lz4(data: bytes, limit: int) -> bytes:
    import lz4.block  # noqa: PLC0415

    size = int.from_bytes(data[1:_LZ4_HEADER], "little")
    if size > limit:
        raise _too_large(limit)
    if size > _LZ4_RATIO * len(data):
        raise _broken("lz4")
    try:
        expanded = bytes(lz4.block.decompress(data[_LZ4_HEADER:], uncompressed_size=size))
    except lz4.block.LZ4BlockError:
        raise _broken("lz4") from None
    if len(expanded) != size:
        raise _broken("lz4")
    return expanded


def _lzf(data: bytes, limit: int) -> bytes:
    try:
        return _lzf_run(data, limit)
    except IndexError:  # cut off inside a back reference
        raise _broken("lzf") from None


def _lzf_run(data: bytes, limit: int) -> bytes:
    expanded = bytearray()
    position, end = 0, len(data)
    for _ in range(LZF_STEPS):
        if position == end:
            return bytes(expanded)
        control = data[position]
        position += 1
        if control < _LZF_LITERALS:
            after = position + control + 1
            if after > end:
                raise _broken("lzf")
            expanded += data[position:after]
            position = after
        else:
            length = control >> 5
            if length == 7:
                length += data[position]
                position += 1
            start = len(expanded) - ((control & 31) << 8) - data[position] - 1
            position += 1
            if start < 0:
                raise _broken("lzf")
            piece = expanded[start : start + length + 2]
            while len(piece) < length + 2:  # it reaches into what it writes itself
                piece += piece[: length + 2 - len(piece)]
            expanded += piece
        if len(expanded) > limit:
            raise _too_large(limit)
    if position == end:
        return bytes(expanded)
    raise Unsendable("too_many_values", f"lzf of more than {LZF_STEPS} steps")


def _crc8(data: bytes) -> int:
    crc = 0xFF
    for octet in data:
        crc ^= octet
        for _ in range(8):
            crc = (crc << 1 ^ (0x31 if crc & 0x80 else 0)) & 0xFF
    return crc


def _broken(method: str) -> Unsendable:
    return Unsendable("format", f"{method} that is damaged or cut off")


def _too_large(limit: int) -> Unsendable:
    return Unsendable("too_large", f"decompressed more than the limit of {limit} octets")


_EXPANDERS: Final[dict[str, Callable[[bytes, int], bytes]]] = {"zstd": _zstd, "lz4": _lz4, "lzf": _lzf}
