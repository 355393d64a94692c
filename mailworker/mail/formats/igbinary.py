"""Reads what `igbinary_serialize()` wrote, as far as a mail needs it: scalars, arrays, references. No objects.

Format 2 (and 1, which is the same without references to scalars): igbinary's `src/php7/igbinary.c`. A string that came
before is named by its number (`compact_strings`), an array or a referenced scalar by its own.
"""

from __future__ import annotations

import struct
from typing import Final, TypeVar

from .binary import Reader
from .php import Key, Value, array_key

T = TypeVar("T")

HEADS: Final = (b"\0\0\0\2", b"\0\0\0\1")

_CONSTANTS: Final[dict[int, Value]] = {0x00: None, 0x04: False, 0x05: True, 0x0D: b""}
_INTEGERS: Final = {0x06: (1, 1), 0x07: (1, -1), 0x08: (2, 1), 0x09: (2, -1), 0x0A: (4, 1), 0x0B: (4, -1), 0x20: (8, 1),
                    0x21: (8, -1)}  # fmt: skip
_STRING_NUMBERS: Final = {0x0E: 1, 0x0F: 2, 0x10: 4}
_STRINGS: Final = {0x11: 1, 0x12: 2, 0x13: 4, 0x26: 8}
_ARRAYS: Final = {0x14: 1, 0x15: 2, 0x16: 4}
_ARRAY_NUMBERS: Final = {0x01: 1, 0x02: 2, 0x03: 4}
_DOUBLE: Final = 0x0C
_REFERENCE: Final = 0x25
_OBJECTS: Final = {0x17, 0x18, 0x19, 0x1A, 0x1B, 0x1C, 0x1D, 0x1E, 0x1F, 0x22, 0x23, 0x24, 0x27}


def read(data: bytes) -> Value:
    """The value in `data`, which begins with one of `HEADS`.

    Raises `Unsendable` with reason `format`, `php_object`, `too_deep` or `too_many_values`.
    """
    igbinary = _Igbinary(data, len(HEADS[0]), "igbinary")
    value = igbinary.value()
    igbinary.end()
    return value


class _Igbinary(Reader):
    def __init__(self, data: bytes, position: int, name: str) -> None:
        super().__init__(data, position, name)
        self.strings: list[bytes] = []
        self.referable: list[Value] = []

    def value(self) -> Value:
        self.begin_value()
        kind = self.number(1)
        if kind in _ARRAYS:
            return self._array(self.number(_ARRAYS[kind]))
        if kind in _ARRAY_NUMBERS:
            return self._numbered(self.referable, self.number(_ARRAY_NUMBERS[kind]))
        if kind == _REFERENCE:
            return self._referenced()
        return self._scalar(kind)

    def _array(self, count: int) -> Value:
        self.begin_array(count, octets_an_entry=2)
        array: dict[Key, Value] = {}
        self.referable.append(array)
        for _ in range(count):
            kind = self.number(1)
            if kind == 0x00:  # a key that was taken away while it was written; no value follows
                continue
            key = self._scalar(kind)
            if isinstance(key, bool) or not isinstance(key, int | bytes):
                raise self.broken()
            array[array_key(key)] = self.value()
        self.end_array()
        return array

    def _referenced(self) -> Value:
        """A value in a variable that is shared: scalars get a number here, too. Arrays have theirs already."""
        kind = self.data[self.position : self.position + 1]
        if kind and (kind[0] in _ARRAYS or kind[0] in _ARRAY_NUMBERS):
            return self.value()
        self.begin_value()
        value = self._scalar(self.number(1))
        self.referable.append(value)
        return value

    def _scalar(self, kind: int) -> int | float | bytes | None:
        if kind in _STRINGS:
            text = self.octets(self.number(_STRINGS[kind]))
            self.strings.append(text)
            return text
        if kind in _STRING_NUMBERS:
            return self._numbered(self.strings, self.number(_STRING_NUMBERS[kind]))
        if kind in _INTEGERS:
            return self._integer(*_INTEGERS[kind])
        if kind in _CONSTANTS:
            constant = _CONSTANTS[kind]
            assert constant is None or isinstance(constant, int | bytes)
            return constant
        if kind == _DOUBLE:
            return float(struct.unpack(">d", self.octets(8))[0])
        if kind in _OBJECTS:
            raise self.object()
        raise self.broken()

    def _integer(self, width: int, sign: int) -> int:
        number = sign * self.number(width)
        if not -(2**63) <= number < 2**63:
            raise self.broken()
        return number

    def _numbered(self, table: list[T], number: int) -> T:
        if number >= len(table):
            raise self.broken()
        return table[number]
