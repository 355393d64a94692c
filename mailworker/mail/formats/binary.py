"""What igbinary and msgpack have in common for a reader: octets taken one field after the other, within bounds."""

from __future__ import annotations

from ...errors import Unsendable
from .php import MAX_DEPTH, MAX_VALUES


class Reader:
    """Takes from `data` what a format says is next. Raises `Unsendable` where there is less, or too much."""

    def __init__(self, data: bytes, position: int, name: str) -> None:
        self.data = data
        self.position = position
        self.name = name
        self._depth = 0
        self._values = 0

    def octets(self, count: int) -> bytes:
        begin, self.position = self.position, self.position + count
        if self.position > len(self.data):
            raise self.broken()
        return self.data[begin : self.position]

    def number(self, width: int, signed: bool = False) -> int:
        return int.from_bytes(self.octets(width), "big", signed=signed)

    def begin_value(self) -> None:
        self._values += 1
        if self._values > MAX_VALUES:
            raise Unsendable("too_many_values", f"more than {MAX_VALUES} values in one entry")

    def begin_array(self, count: int, octets_an_entry: int) -> None:
        if count * octets_an_entry > len(self.data) - self.position:
            raise self.broken()
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise Unsendable("too_deep", f"arrays nested deeper than {MAX_DEPTH} levels")

    def end_array(self) -> None:
        self._depth -= 1

    def end(self) -> None:
        if self.position != len(self.data):
            raise self.broken()

    def broken(self) -> Unsendable:
        return Unsendable("format", f"not what {self.name} writes: error before octet {self.position}")

    def object(self) -> Unsendable:
        return Unsendable("php_object", f"holds a PHP object in {self.name}; objects are never read")
