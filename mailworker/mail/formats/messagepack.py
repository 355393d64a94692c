"""Reads what `msgpack_pack()` of PHP wrote, as far as a mail needs it: scalars, arrays, shared arrays. No objects.

Format: https://github.com/msgpack/msgpack/blob/master/spec.md. PHP's extension (`msgpack_pack.c`) marks what is more
than an array with a first key `nil`: the number 1 before an array in a shared variable, 2 before the number of an array
that came already, anything else before an object.
"""

from __future__ import annotations

import struct
from typing import Final

from .binary import Reader
from .php import Key, Value, array_key

_CONSTANTS: Final[dict[int, Value]] = {0xC0: None, 0xC2: False, 0xC3: True}
_STRINGS: Final = {0xD9: 1, 0xDA: 2, 0xDB: 4, 0xC4: 1, 0xC5: 2, 0xC6: 4}
_UNSIGNED: Final = {0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8}
_SIGNED: Final = {0xD0: 1, 0xD1: 2, 0xD2: 4, 0xD3: 8}
_FLOATS: Final = {0xCA: ">f", 0xCB: ">d"}
_LISTS: Final = {0xDC: 2, 0xDD: 4}
_MAPS: Final = {0xDE: 2, 0xDF: 4}
_NIL: Final = 0xC0
_SHARED, _AGAIN = 1, 2


def read(data: bytes) -> Value:
    """The value in `data`.

    Raises `Unsendable` with reason `format`, `php_object`, `too_deep` or `too_many_values`.
    """
    pack = _Pack(data, 0, "msgpack")
    value = pack.value()
    pack.end()
    return value


class _Pack(Reader):
    def __init__(self, data: bytes, position: int, name: str) -> None:
        super().__init__(data, position, name)
        self.arrays: list[Value] = []

    def value(self) -> Value:
        self.begin_value()
        kind = self.number(1)
        if 0x80 <= kind <= 0x8F:
            return self._map(kind & 0x0F)
        if 0x90 <= kind <= 0x9F:
            return self._list(kind & 0x0F)
        if kind in _MAPS:
            return self._map(self.number(_MAPS[kind]))
        if kind in _LISTS:
            return self._list(self.number(_LISTS[kind]))
        return self._scalar(kind)

    def _scalar(self, kind: int) -> Value:
        if 0xA0 <= kind <= 0xBF:
            return self.octets(kind & 0x1F)
        if kind in _STRINGS:
            return self.octets(self.number(_STRINGS[kind]))
        if kind <= 0x7F or kind >= 0xE0:
            return kind if kind <= 0x7F else kind - 0x100
        if kind in _UNSIGNED:
            number = self.number(_UNSIGNED[kind])
            return number if number < 2**63 else b"%d" % number  # as PHP does
        if kind in _SIGNED:
            return self.number(_SIGNED[kind], signed=True)
        if kind in _FLOATS:
            return float(struct.unpack(_FLOATS[kind], self.octets(struct.calcsize(_FLOATS[kind])))[0])
        if kind in _CONSTANTS:
            return _CONSTANTS[kind]
        raise self.broken()

    def _list(self, count: int) -> Value:
        self.begin_array(count, octets_an_entry=1)
        array: dict[Key, Value] = {}
        self.arrays.append(array)
        for number in range(count):
            array[number] = self.value()
        self.end_array()
        return array

    def _map(self, count: int) -> Value:
        self.begin_array(count, octets_an_entry=2)
        marked = count > 0 and self.data[self.position : self.position + 1] == bytes([_NIL])
        if marked and self._mark() == _AGAIN:
            return self._named(count)
        array: dict[Key, Value] = {}
        self.arrays.append(array)
        for _ in range(count - marked):
            key = self._key()
            array[key] = self.value()
        self.end_array()
        return array

    def _mark(self) -> int:
        self.position += 1
        mark = self.number(1)
        if mark not in (_SHARED, _AGAIN):
            raise self.object()
        return mark

    def _named(self, count: int) -> Value:
        """An array that came already, by its number: the outermost is 1."""
        key, number = self.number(1), self.value()
        if count != 2 or key != 0 or not isinstance(number, int) or not 1 <= number <= len(self.arrays):
            raise self.broken()
        self.end_array()
        return self.arrays[number - 1]

    def _key(self) -> Key:
        key = self._scalar(self.number(1))
        if isinstance(key, bool) or not isinstance(key, int | bytes):
            raise self.broken()
        return array_key(key)
