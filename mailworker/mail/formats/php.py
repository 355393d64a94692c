"""Reads what PHP's `serialize()` wrote, as far as a mail needs it, and writes its strings.

The text is scanned once without recursion and without building values. Only then are the wanted keys of the
outermost array built, two levels deep. So hostile lengths, counts and nesting cost neither memory nor a crash:
the scan keeps 16 octets for each value it passed.

Grammar: php-src `ext/standard/var_unserializer.re`. Objects, enums and custom serializers are refused, never
instantiated. A number of more than 4,000 digits is refused, too; the others are read as PHP reads them, which
tests/unit/mail/test_php_fuzz.py compares.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left
from collections.abc import Iterator
from typing import Final

from ...errors import Unsendable

MAX_DEPTH: Final = 128
"""Levels of arrays. PHP stops at 4,096; a mail has two."""

MAX_VALUES: Final = 32_768
"""Values, references and `S:` escapes in one text: bounds the scan to some tens of milliseconds."""


class Opaque:
    """Stands for a value that a mail has no use for: an array below the last level wanted, or a circular one."""


Scalar = None | bool | int | float | bytes
Key = int | bytes
Value = Scalar | Opaque | dict[Key, "Value"]

_TOKEN = re.compile(
    rb"N;"
    rb"|b:(?P<bool>[01]);"
    rb"|i:(?P<int>[+-]?[0-9]{1,4000}+);"
    rb"|d:(?P<float>[+-]?(?:[0-9]{1,4000}+(?:\.[0-9]{0,4000}+)?|\.[0-9]{1,4000}+)(?:[eE][+-]?[0-9]{1,4000}+)?|-?INF|NAN);"
    rb'|s:(?P<string>[0-9]{1,4000}+):"'
    rb'|S:(?P<escaped>[0-9]{1,4000}+):"'
    rb"|a:(?P<array>[0-9]{1,4000}+):\{"
    rb"|R:(?P<reference>[0-9]{1,4000}+);"
)
_INTEGER_KEY = re.compile(rb"0|-?[1-9][0-9]{0,18}")
_ESCAPED_OCTET = re.compile(rb"\\([0-9a-fA-F]{2})")
_INT_MIN, _INT_MAX = -(2**63), 2**63 - 1
_INT_DIGITS = 20
_FLOAT = re.compile(rb"([+-]?)([0-9]*+)\.?+([0-9]*+)(?:[eE]([+-]?[0-9]++))?")
_FLOAT_DIGITS = 800  # a double, and the middle of two of them, has 767 digits at most
_FLOAT_EXPONENT = 19_999  # zend_strtod.c: "safe for 16 bit ints"


def unserialize(data: bytes, wanted: frozenset[bytes], levels: int = 2) -> tuple[Value, int]:
    """The value in `data`, and how many octets it took; what follows is the caller's to judge.

    Of an outermost array only the `wanted` keys are kept; arrays below so many `levels` become `Opaque`.

    Raises `Unsendable` with reason `php_syntax`, `php_object`, `too_deep` or `too_many_values`.
    """
    plain = _plain(data, wanted)
    if plain is not None:
        return plain
    scan = _Scan(data)
    return scan.build(0, levels, wanted), scan.end


# The common entry: a few strings, and one level of arrays of strings. A quarter of the cost of a mail was to scan it.

_PLAIN_STRING = rb's:[0-9]{1,9}:"[^"]*";'
_PLAIN = re.compile(rb"a:([0-9]{1,2}):\{")
_PLAIN_FIELD = re.compile(
    rb's:([0-9]{1,2}):"([A-Za-z_]{1,32})";'
    rb'(?:s:([0-9]{1,9}):"|N;|a:([0-9]{1,2}):\{((?:(?:'
    + _PLAIN_STRING
    + rb"|i:[0-9]{1,9};)(?:"
    + _PLAIN_STRING
    + rb"|N;)){0,64})\})"
)
_PLAIN_ITEM = re.compile(rb'(?:s:([0-9]{1,9}):"([^"]*)";|i:([0-9]{1,9});)(?:s:([0-9]{1,9}):"([^"]*)";|N;)')


def _plain(data: bytes, wanted: frozenset[bytes]) -> tuple[Value, int] | None:
    """None where the text is something else, right or wrong: the scan will tell."""
    head = _PLAIN.match(data)
    if head is None:
        return None
    position = head.end()
    fields: dict[Key, Value] = {}
    for _ in range(int(head[1])):
        field = _PLAIN_FIELD.match(data, position)
        if field is None:
            return None
        size, name, text, count = field.group(1, 2, 3, 4)
        position = field.end()
        value: Value = None
        if text is not None:
            end = position + int(text)
            if data[end : end + 2] != b'";':
                return None
            value = data[position:end]
            position = end + 2
        elif count is not None:
            value = _plain_array(data, *field.span(5), int(count))
            if value is None:
                return None
        if int(size) != len(name):
            return None
        if name in wanted:
            fields[name] = value
    return (fields, position + 1) if data[position : position + 1] == b"}" else None


def _plain_array(data: bytes, begin: int, end: int, count: int) -> dict[Key, Value] | None:
    found = _PLAIN_ITEM.findall(data, begin, end)
    if len(found) != count:
        return None
    array: dict[Key, Value] = {}
    for key_size, key, number, size, text in found:
        if (key_size and int(key_size) != len(key)) or (size and int(size) != len(text)):
            return None
        array[array_key(key) if key_size else int(number)] = text if size else None
    return array


def _syntax(offset: int, size: int) -> Unsendable:
    return Unsendable("php_syntax", f"not what serialize() writes: error at offset {offset} of {size} octets")


class _Places:
    """Which value a reference names. It names a place in an array, and a key that comes twice fills its place anew.

    `serialize()` never writes a key twice, so that this is for texts that somebody made; where nothing can be a
    reference nothing is kept.
    """

    def __init__(self, data: bytes) -> None:
        self.watched = b"R:" in data
        self.referred: dict[int, int] = {}  # where a reference stands → the value that it names
        self._size = len(data)
        self._place = array("Q")  # value → the first value that stood in its place
        self._holds = array("Q")  # that value → the one that stands there now
        self._keys: list[dict[Key, int | None]] = []  # of each open array: key → place; None for that of a reference
        self._key: Key | None = None

    def open(self) -> None:
        if self.watched:
            self._keys.append({})

    def close(self) -> None:
        if self.watched:
            self._keys.pop()

    def name(self, key: Key) -> None:
        """The key of the value that comes next."""
        self._key = key

    def add(self, value: int) -> None:
        if not self.watched:
            return
        known = self._keys[-1].get(self._key) if self._keys and self._key is not None else None
        place = value if known is None else known
        self._place.append(place)
        self._holds.append(value)
        self._holds[place] = value
        if self._keys and self._key is not None:
            self._keys[-1][self._key] = place

    def refer(self, position: int, value: int) -> None:
        """Raises `Unsendable` for a place that is to hold itself."""
        place = self._place[value]
        self.referred[position] = self._holds[place]
        if self._keys and self._key is not None:
            known = self._keys[-1].setdefault(self._key, None)
            if known == place:
                raise _syntax(position, self._size)
            if known is not None:
                self._holds[known] = self._holds[place]


class _Scan:
    """Where each value of the text begins and ends, in the order in which PHP numbers them for `R:`."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.starts = array("Q")
        self.ends = array("Q")
        self._steps = 0
        self._places = _Places(data)
        self._built: dict[tuple[int, int], Value] = {}  # by position and levels: a reference costs no copy
        self.end = self._run()

    def _run(self) -> int:
        data, starts, ends = self.data, self.starts, self.ends
        open_arrays: list[tuple[int, int]] = []  # (slot, entries still to come)
        position = 0
        while True:
            kind, number, after = self._token(position)
            self._step()
            if kind == "reference":
                if not 1 <= number <= len(starts):
                    raise _syntax(position, len(data))
                self._places.refer(position, number - 1)
            else:
                self._places.add(len(starts))
                starts.append(position)
                ends.append(after)
            if kind == "array":
                if len(open_arrays) >= MAX_DEPTH:
                    raise Unsendable("too_deep", f"arrays nested deeper than {MAX_DEPTH} levels")
                open_arrays.append((len(starts) - 1, number))
                self._places.open()
            position = after
            while open_arrays:
                slot, left = open_arrays[-1]
                if left:
                    open_arrays[-1] = (slot, left - 1)
                    position = self._next_value(position)
                    break
                if data[position : position + 1] != b"}":
                    raise _syntax(position, len(data))
                position += 1
                ends[slot] = position
                open_arrays.pop()
                self._places.close()
            if not open_arrays:
                return position

    def _next_value(self, position: int) -> int:
        if not self._places.watched:
            return self._key_end(position)
        key, after = self._key(position)
        self._places.name(key)
        return after

    def _step(self) -> None:
        self._steps += 1
        if self._steps > MAX_VALUES:
            raise Unsendable("too_many_values", f"more than {MAX_VALUES} values in one entry")

    def _token(self, position: int) -> tuple[str, int, int]:
        """The kind of the value at `position`, its count or number, and where the token ends."""
        data = self.data
        match = _TOKEN.match(data, position)
        if match is None:
            if data[position : position + 2] in (b"O:", b"C:", b"E:"):
                raise Unsendable("php_object", f"holds a PHP object at offset {position}; objects are never read")
            raise _syntax(position, len(data))
        kind = match.lastgroup or "null"
        after = match.end()
        if kind in ("int", "float", "bool", "null"):
            return kind, 0, after
        digits = match[kind]
        number = _integer(digits) if kind == "array" else _length(digits)
        room = len(data) - after
        if kind == "string":
            after += number
            if number > room or data[after : after + 2] != b'";':
                raise _syntax(position, len(data))
            after += 2
        elif kind == "escaped":
            after = self._escaped_end(after, number)
        elif kind == "array" and number > room // 6:  # the shortest entry is `i:0;N;`
            raise _syntax(position, len(data))
        return kind, number, after

    def _escaped_end(self, position: int, count: int) -> int:
        r"""Where an `S:` string of `count` octets ends: `\xx` stands for one octet."""
        data = self.data
        begin = position
        while count:
            escape = data.find(b"\\", position, position + count)
            if escape < 0:
                position += count
                break
            self._step()
            count -= escape - position + 1
            if _ESCAPED_OCTET.match(data, escape) is None:
                raise _syntax(escape, len(data))
            position = escape + 3
        if data[position : position + 2] != b'";':
            raise _syntax(begin, len(data))
        return position + 2

    def _key_end(self, position: int) -> int:
        kind, _, after = self._token(position)
        if kind not in ("int", "string", "escaped"):
            raise _syntax(position, len(self.data))
        return after

    def _key(self, position: int) -> tuple[Key, int]:
        after = self._key_end(position)
        key = self._scalar(position, after)
        assert isinstance(key, int | bytes)
        return array_key(key), after

    def _scalar(self, position: int, end: int) -> Scalar:
        letter = self.data[position : position + 1]
        if letter in (b"s", b"S"):
            text = self.data[self.data.index(b'"', position) + 1 : end - 2]
            return text if letter == b"s" else _ESCAPED_OCTET.sub(_unescape, text)
        text = self.data[position + 2 : end - 1]
        if letter == b"i":
            return _integer(text)
        if letter == b"d":
            return _double(text)
        return text == b"1" if letter == b"b" else None

    def build(self, position: int, levels: int, wanted: frozenset[bytes] | None = None) -> Value:
        if self.data[position : position + 1] == b"R":  # what it names is never itself a reference
            position = self.starts[self._places.referred[position]]
        built = self._built.get((position, levels))
        if built is None:
            built = self._built[position, levels] = self._build(position, levels, wanted)
        return built

    def _build(self, position: int, levels: int, wanted: frozenset[bytes] | None) -> Value:
        if self.data[position : position + 1] != b"a":
            return self._scalar(position, self.ends[bisect_left(self.starts, position)])
        if not levels:
            return Opaque()
        return {
            key: self.build(at, levels - 1) for key, at in self._entries(position) if wanted is None or key in wanted
        }

    def _entries(self, position: int) -> Iterator[tuple[Key, int]]:
        _, count, position = self._token(position)
        for _ in range(count):
            key, position = self._key(position)
            yield key, position
            if self.data[position : position + 1] == b"R":
                position = self.data.index(b";", position) + 1
            else:
                position = self.ends[bisect_left(self.starts, position)]


def _integer(text: bytes) -> int:
    """As PHP's `parse_iv2` does: what is out of range is the largest integer or the smallest."""
    negative = text.startswith(b"-")
    if len(text) > _INT_DIGITS:  # zeros in front, perhaps
        text = text.lstrip(b"+-").lstrip(b"0")
        if len(text) > _INT_DIGITS:
            return _INT_MIN if negative else _INT_MAX
        text = (b"-" if negative else b"") + (text or b"0")
    return max(_INT_MIN, min(_INT_MAX, int(text)))


def _length(digits: bytes) -> int:
    """As PHP's `parse_uiv` does: 64 bits, what is above them falls off."""
    return int(digits) % 2**64


def _double(text: bytes) -> float:
    """As `zend_strtod` does. Python's own reader is the same one, but for an exponent that is beyond all sense."""
    match = _FLOAT.fullmatch(text)
    if match is None or (len(text) <= 25 and not match[4]):  # INF, NAN, or what everybody writes
        return float(text)
    sign, whole, fraction, exponent = match.groups()
    digits = (whole + fraction).lstrip(b"0")
    shift = -len(fraction)
    if len(digits) > _FLOAT_DIGITS:  # all that is left out can tell only on which side of a middle the number is
        shift += len(digits) - _FLOAT_DIGITS
        digits = digits[: _FLOAT_DIGITS - 1] + (b"1" if digits[_FLOAT_DIGITS - 1 :].strip(b"0") else b"0")
    return float(b"%b%be%d" % (sign, digits or b"0", shift + _exponent(exponent or b"0")))


def _exponent(text: bytes) -> int:
    digits = text.lstrip(b"+-").lstrip(b"0")
    size = min(int(digits), _FLOAT_EXPONENT) if 0 < len(digits) <= 8 else _FLOAT_EXPONENT if digits else 0
    return -size if text.startswith(b"-") else size


def _unescape(match: re.Match[bytes]) -> bytes:
    return bytes.fromhex(match[1].decode("ascii"))


def array_key(key: Key) -> Key:
    """The key as PHP's arrays keep it: text that looks like a decimal integer is that integer."""
    if isinstance(key, bytes) and _INTEGER_KEY.fullmatch(key) and _INT_MIN <= int(key) <= _INT_MAX:
        return int(key)
    return key


def text_of(value: Scalar) -> bytes:
    """The value as PHP turns it into a string (`precision=14`, its default)."""
    if isinstance(value, bytes):
        return value
    if value is None or value is False:
        return b""
    if value is True:
        return b"1"
    if isinstance(value, int):
        return b"%d" % value
    return _float_text(value)


def _float_text(value: float) -> bytes:
    mantissa, mark, exponent = format(value, ".14G").partition("E")
    if not mark:
        return mantissa.encode("ascii")
    point = mantissa if "." in mantissa else mantissa + ".0"
    return f"{point}E{exponent[0]}{exponent[1:].lstrip('0')}".encode("ascii")


def string(octets: bytes) -> bytes:
    """As `serialize()` writes it."""
    return b's:%d:"%s";' % (len(octets), octets)
