"""A field that holds mailboxes: those to whom a mail goes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import Unsendable
from . import address, php
from .address import Mailbox, each_once
from .php import Key, Opaque, Scalar, Value
from .text import utf8


@dataclass(frozen=True, slots=True)
class Mailboxes:
    """In an entry one address, a list of them, or address => name; in a call `Name <address>` as well."""

    def from_value(self, name: str, value: Value) -> tuple[Mailbox, ...]:
        if isinstance(value, bytes):
            return (_mailbox(name, value, None),)
        if isinstance(value, dict):
            return each_once([_of_entry(name, key, item) for key, item in value.items()])
        if value is None:
            return ()
        raise Unsendable("bad_field", f"{name}: neither an address nor an array of addresses")

    def from_argument(self, name: str, value: Any) -> tuple[Mailbox, ...]:
        if isinstance(value, str):
            return (address.parse(value, name),)
        if isinstance(value, Mapping):
            return each_once([_of_pair(name, key, item) for key, item in value.items()])
        if isinstance(value, list | tuple | set | frozenset):
            return each_once([_of_item(name, item) for item in value])
        raise TypeError(f"{name}: expected str, list or dict, got {type(value).__name__}")

    def to_json(self, content: tuple[Mailbox, ...]) -> dict[str, str | None]:
        return {mailbox.address: mailbox.name.decode("utf-8") or None for mailbox in content}

    def to_php(self, content: tuple[Mailbox, ...]) -> bytes:
        pairs = (
            php.string(mailbox.address.encode("utf-8")) + (php.string(mailbox.name) if mailbox.name else b"N;")
            for mailbox in content
        )
        return b"a:%d:{%s}" % (len(content), b"".join(pairs))

    def size(self, content: tuple[Mailbox, ...]) -> int:
        return sum(len(mailbox.address) + len(mailbox.name) + 2 for mailbox in content)


def _of_entry(name: str, key: Key, item: Value) -> Mailbox:
    if isinstance(key, bytes):
        if isinstance(item, (dict, Opaque)):
            raise Unsendable("bad_field", f"{name}: the name of a recipient is an array")
        return _mailbox(name, key, item)
    if not isinstance(item, bytes):
        raise Unsendable("bad_address", f"{name}: a recipient is not text")
    return _mailbox(name, item, None)


def _mailbox(name: str, raw: bytes, given: Scalar) -> Mailbox:
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise Unsendable("bad_address", f"{name}: an address is not valid UTF-8") from None
    return Mailbox(address.check(text, name), php.text_of(given))


def _of_item(name: str, item: Any) -> Mailbox:
    if not isinstance(item, str):
        raise TypeError(f"{name}: expected addresses as str, got {type(item).__name__}")
    return address.parse(item, name)


def _of_pair(name: str, key: Any, item: Any) -> Mailbox:
    if isinstance(key, int):  # what PHP makes of a list, when a producer hands it on
        return _of_item(name, item)
    if not isinstance(key, str) or not (item is None or isinstance(item, str | int | float)):
        raise TypeError(f"{name}: expected {{address: name}}")
    if isinstance(item, str):
        return Mailbox(address.check(key, name), utf8(name, item))
    return Mailbox(address.check(key, name), php.text_of(item))
