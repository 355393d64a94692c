"""A field that holds mailboxes: those to whom a mail goes, or from whom it comes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from ..errors import Unsendable
from . import address
from .address import Mailbox, each_once
from .email import Limits
from .formats import php
from .formats.php import Key, Opaque, Scalar, Value
from .parts import Parts, as_octets, as_text
from .text import exact, is_lazy, text_of, utf8


@dataclass(frozen=True, slots=True)
class Mailboxes:
    """In an entry one address, a list of them, or address => name; in a call `Name <address>` as well. `optional` where
    a call's empty text is nobody, as a form's field that was left empty."""

    optional: bool = False

    def from_value(self, name: str, value: Value, _: Limits) -> tuple[Mailbox, ...]:
        if isinstance(value, bytes):
            return (_mailbox(name, value, None),)
        if isinstance(value, dict):
            return each_once([_of_entry(name, key, item) for key, item in value.items()])
        if value is None:
            return ()
        raise Unsendable("bad_field", f"{name}: neither an address nor an array of addresses")

    def from_argument(self, name: str, value: Any, limits: Limits) -> tuple[Mailbox, ...]:
        if isinstance(value, str):
            return () if self.optional and not value else (address.parse(exact(value), name),)
        if isinstance(value, Mapping):
            return each_once([_of_pair(f"{name}[{at}]", *pair) for at, pair in enumerate(value.items())])
        if is_lazy(value):
            return (address.parse(str(value), name),)
        if isinstance(value, set | frozenset):
            value = sorted(value, key=str)  # the same call is to become the same octets
        if not isinstance(value, Iterable) or isinstance(value, bytes | bytearray | memoryview):
            raise TypeError(f"{name}: expected str, list or dict, got {type(value).__name__}")
        items = list(islice(value, limits.recipients + 1))  # an iterator may have no end
        if len(items) > limits.recipients:
            raise Unsendable("too_many_recipients", f"{name}: more than {limits.recipients} addresses")
        return each_once([_of_item(f"{name}[{at}]", item) for at, item in enumerate(items)])

    def to_json(self, content: tuple[Mailbox, ...]) -> dict[str, str | None]:
        return {mailbox.address: mailbox.name.decode("utf-8") or None for mailbox in content}

    def to_frame(self, content: tuple[Mailbox, ...], _: list[bytes]) -> list[list[str]]:
        return [_pair(mailbox) for mailbox in content]

    def from_frame(self, value: list[list[str]], _: Parts) -> tuple[Mailbox, ...]:
        return tuple([_of_frame(pair) for pair in value])

    def to_php(self, content: tuple[Mailbox, ...]) -> bytes:
        pairs = (
            php.string(mailbox.address.encode("utf-8")) + (php.string(mailbox.name) if mailbox.name else b"N;")
            for mailbox in content
        )
        return b"a:%d:{%s}" % (len(content), b"".join(pairs))

    def size(self, content: tuple[Mailbox, ...]) -> int:
        return sum(len(mailbox.address) + len(mailbox.name) + 2 for mailbox in content)


@dataclass(frozen=True, slots=True)
class Sender:
    """As `Mailboxes`, of one, as whom the site lets a caller send."""

    def from_value(self, name: str, value: Value, limits: Limits) -> Mailbox | None:
        return _allowed(name, Mailboxes().from_value(name, value, limits), limits)

    def from_argument(self, name: str, value: Any, limits: Limits) -> Mailbox | None:
        return _allowed(name, Mailboxes().from_argument(name, value, limits), limits)

    def to_frame(self, content: Mailbox, _: list[bytes]) -> list[str]:
        return _pair(content)

    def from_frame(self, value: list[str], _: Parts) -> Mailbox:
        return _of_frame(value)

    def size(self, content: Mailbox | None) -> int:
        return len(content.address) + len(content.name) + 2 if content else 0


@dataclass(frozen=True, slots=True)
class ReturnPath:
    """An address without a name, or an empty text: the null sender."""

    def from_value(self, name: str, value: Value, limits: Limits) -> str | None:
        if value is None or value == b"":
            return None if value is None else ""
        if not isinstance(value, bytes):
            raise Unsendable("bad_field", f"{name}: not an address")
        return _checked(name, _mailbox(name, value, None), limits).address

    def from_argument(self, name: str, value: Any, limits: Limits) -> str:
        text = text_of(name, value, "an address as str, or '' for the null sender")
        return _checked(name, Mailbox(address.check(text, name)), limits).address if text else ""

    def to_frame(self, content: str, _: list[bytes]) -> str:
        return content

    def from_frame(self, value: str, _: Parts) -> str:
        return value

    def size(self, _: str | None) -> int:
        return 0


def _allowed(name: str, mailboxes: tuple[Mailbox, ...], limits: Limits) -> Mailbox | None:
    if len(mailboxes) > 1:
        raise Unsendable("bad_address", f"{name}: {len(mailboxes)} addresses, expected one")
    return _checked(name, mailboxes[0], limits) if mailboxes else None


def _checked(name: str, mailbox: Mailbox, limits: Limits) -> Mailbox:
    limits.senders.check(name, mailbox.address)
    return mailbox


def _pair(mailbox: Mailbox) -> list[str]:
    return [mailbox.address, as_text(mailbox.name)]


def _of_frame(pair: list[str]) -> Mailbox:
    return Mailbox(pair[0], as_octets(pair[1]))


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
    return address.parse(text_of(name, item, "an address as str"), name)


def _of_pair(name: str, key: Any, item: Any) -> Mailbox:
    if isinstance(key, int):  # what PHP makes of a list, when a producer hands it on
        return _of_item(name, item)
    key, item = (str(text) if is_lazy(text) else text for text in (key, item))
    if not isinstance(key, str) or not (item is None or isinstance(item, str | int | float)):
        raise TypeError(f"{name}: expected {{address: name}}")
    checked = address.check(exact(key), name)
    return Mailbox(checked, utf8(name, item) if isinstance(item, str) else php.text_of(item))
