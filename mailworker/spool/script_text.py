"""The scripts' texts, put together from `lua/`, and their arguments as they travel.

Before a script stand: the check whether it may run; the functions that it names, of the files in `lua/lib/`, and those
that these need; and its arguments as locals. No script counts positions. The names of keys and constants are replaced
by what they stand for.
"""

from __future__ import annotations

import hashlib
import re
import string
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final, get_type_hints

from .constants import Constants
from .keys import Key
from .scripts import ALL, IN_ANY_FORMAT, WITH_LISTS, name_of

LIBRARIES: Final = (
    "arguments", "clock", "blobs", "state", "payload", "places", "relay_gate", "lock", "doorbells", "owner",
    "acceptance",
)  # fmt: skip
"""Each may need those before it."""

_SCALARS: Final = {str: "ARGV[{}]", bytes: "ARGV[{}]", int: "tonumber(ARGV[{}])", bool: "ARGV[{}] == '1'"}
_LISTS: Final = (Sequence[str], Sequence[bytes], Sequence[int])

_MAY_RUN: Final = """\
if redis.call('GET', FORMAT) ~= SPOOL_FORMAT then
  return redis.error_reply('FORMAT ' .. (redis.call('GET', FORMAT) or 'none'))
end
"""

_CALL: Final = """\
-- Each call has a number of its own. A call whose answer was not waited for is called off before its caller goes on
-- (call_off.lua): a copy of it that arrives after that, from a socket that was closed, does nothing.
local call = ARGV[1]
if redis.call('ZSCORE', CALLED_OFF, call) then return redis.error_reply('CALLED_OFF this call was called off') end
"""

_SAFE: Final = frozenset(b"_:.-{}~" + (string.ascii_letters + string.digits).encode())

_WORD: Final = re.compile(r"[A-Za-z_]\w*")
_CODE_WORD: Final = re.compile(r"'[^'\n]*'|--.*|[A-Za-z_]\w*")
_NUMBER: Final = re.compile(r"^local ([A-Z][A-Z_]+) = (\d+)$", re.MULTILINE)
_LOCALS: Final = re.compile(r"^local (?:function )?([\w, ]+)", re.MULTILINE)
_NO_CODE: Final = re.compile(r"'[^'\n]*'|--.*")
"""Texts and comments."""


@dataclass(frozen=True, slots=True)
class Script:
    """What Redis is given, and what it knows it by."""

    text: str
    digest: str


@cache
def scripts(prefix: str, constants: Constants) -> Mapping[type[Any], Script]:
    """All of them, for this prefix and these constants: some milliseconds, once a process."""
    keys = {key.name: _literal(prefix + key) for key in Key}
    values = {"PREFIX": _literal(prefix)} | keys | constants.as_lua(_literal)
    return {script: _script(text_of(script, values)) for script in ALL}


def _script(text: str) -> Script:
    return Script(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


def text_of(script: type[Any], values: Mapping[str, str]) -> str:
    """The script with all that it needs. `values` are the constants, as Lua writes them."""
    body = _read(f"{name_of(script)}.lua")
    arguments = _arguments(script)
    may_run = ("" if script in IN_ANY_FORMAT else _MAY_RUN) + _CALL
    blocks = _needed(arguments + body)
    return _with_values("\n".join((may_run, *blocks, arguments, body)), {**_numbers(), **values})


def _with_values(text: str, values: Mapping[str, str]) -> str:
    """Each constant's value in the place of its name: a local of that name would cost each function that uses it. Lua
    takes no list in all those places: such a one is a local."""
    lists = {name: value for name, value in values.items() if value.startswith("{")}
    plain = {name: value for name, value in values.items() if name not in lists}
    words = _words(text)
    head = "".join(f"local {name} = {value}\n" for name, value in lists.items() if name in words)
    return head + _CODE_WORD.sub(lambda found: plain.get(found[0], found[0]), text)


def encode(arguments: Any) -> list[Any]:
    """The arguments of one call, in the order that `_arguments` reads."""
    scalars: list[Any] = []
    lists: list[Any] = []
    for value in arguments:
        kind = type(value)
        if kind is str or kind is int or kind is bytes:
            scalars.append(value)
        elif kind is bool:
            scalars.append(b"1" if value else b"0")
        elif isinstance(value, (str, bytes, int)):  # of a class derived from these
            scalars.append(value)
        else:
            scalars.append(len(value))
            lists.extend(value)
    return scalars + lists


def _arguments(script: type[Any]) -> str:
    """Lua that makes locals of them. A list's length stands where the list is named, and its items behind the rest."""
    hints = get_type_hints(script)
    lines = ["local lists = KEYS\n"] if script in WITH_LISTS else []
    behind = str(2 + len(hints))
    for position, (name, kind) in enumerate(hints.items(), 2):
        if kind in _LISTS:
            lines.append(f"local {name} = list_of({behind}, tonumber(ARGV[{position}]))\n")
            behind = f"{behind} + ARGV[{position}]"
        elif kind in _SCALARS:
            lines.append(f"local {name} = {_SCALARS[kind].format(position)}\n")
        else:
            raise TypeError(f"{script.__name__}.{name}: Lua has no {kind}")
    return "".join(lines)


def _needed(text: str) -> list[str]:
    """The blocks of the libraries that this text names, and those that they name, in their order."""
    words = _words(text)
    needed: list[str] = []
    for names, block, used in reversed(_blocks()):
        if names & words:
            words |= used
            needed.insert(0, block)
    return needed


@cache
def _blocks() -> Sequence[tuple[frozenset[str], str, frozenset[str]]]:
    """Of all libraries: the names that a block defines, its text, and the names in it."""
    found = [
        (_defined(block), block, _words(block)) for name in LIBRARIES for block in _split(_read(f"lib/{name}.lua"))
    ]
    return [block for block in found if block[0] - _numbers().keys()]


@cache
def _numbers() -> Mapping[str, str]:
    """The constants of all libraries."""
    return {name: number for library in LIBRARIES for name, number in _NUMBER.findall(_read(f"lib/{library}.lua"))}


def _split(text: str) -> Iterator[str]:
    """At the blank lines before a line that begins at the margin."""
    yield from (block + "\n" for block in re.split(r"\n\n(?=\S)", text.rstrip("\n")))


def _defined(block: str) -> frozenset[str]:
    return frozenset(name.strip() for found in _LOCALS.findall(block) for name in found.split(","))


def _words(text: str) -> frozenset[str]:
    return frozenset(_WORD.findall(_NO_CODE.sub("", text)))


@cache
def _read(name: str) -> str:
    return files(__package__).joinpath("lua", name).read_text("utf-8")


def _literal(value: str | int | Iterable[str]) -> str:
    """A value as Lua writes it, whatever characters are in it."""
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return "'" + "".join(map(_character, value.encode())) + "'"
    return "{" + ", ".join(_literal(item) for item in value) + "}"


def _character(octet: int) -> str:
    return chr(octet) if octet in _SAFE else f"\\{octet:03}"
