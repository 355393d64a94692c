"""What a caller passes to `send_raw`: a finished message, and to whom it goes; its headers say that where the call does
not."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable
from email import message_from_string, policy
from email.errors import ObsoleteHeaderDefect
from email.generator import BytesGenerator
from email.message import Message
from itertools import islice
from typing import Any, Final

from ...errors import Unsendable
from .. import address
from ..dsn import DsnOptions
from ..email import Limits, RawMail
from ..senders import ANYBODY, Senders
from ..text import exact
from .raw import finished
from .raw_head import Header, refused

_LOCAL: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_ODD: Final = ("no domain", "non-ASCII characters")
_RECIPIENTS: Final = (b"to", b"cc", b"bcc")
_LONGEST: Final = 128 * 1024
"""Octets of a header that is read: Python's parser copies what is left of it at each word."""


def raw_mail(message: Any, sender: Any, recipients: Any, dsn: Any, limits: Limits) -> RawMail:
    """Raises `TypeError` for wrong arguments, `Unsendable` for what can never be a mail."""
    octets, names = _octets(message)
    data, headers = finished(octets, limits)
    if names is not None and [header.name for header in headers] != names:
        raise refused("its headers are other ones when it is written: one of them holds a line break")
    chosen = _to(headers) if recipients is None else _mailboxes(recipients, limits.recipients)
    mail = RawMail(
        recipients=tuple(dict.fromkeys(chosen)),
        return_path=_from(headers) if sender is None else _sender(sender),
        message=data,
        dsn=None if dsn is None else DsnOptions().from_argument("dsn", dsn, limits),
    )
    _check_recipients(mail, limits)
    if limits.senders != ANYBODY:
        _check_senders(mail, headers, limits.senders)
    return mail


def _octets(message: Any) -> tuple[bytes, list[bytes] | None]:
    """The octets, and the names of the headers where they are known from elsewhere."""
    if isinstance(message, bytes | bytearray | memoryview):
        return bytes(memoryview(message)), None
    if isinstance(message, str):
        try:
            return exact(message).encode("utf-8", "surrogateescape"), None
        except UnicodeEncodeError:
            raise Unsendable("bad_text", "message: holds a lone surrogate, which is not text") from None
    if isinstance(message, Message):
        return _written(message), [name.lower().encode("utf-8", "surrogateescape") for name in message.keys()]  # noqa: SIM118 - no dict
    raise TypeError(f"message: expected bytes, str or an email.message.EmailMessage, got {type(message).__name__}")


def _written(message: Message) -> bytes:
    if type(message).as_bytes is not Message.as_bytes:
        return message.as_bytes()  # Django's, which says itself how it is written
    octets = io.BytesIO()
    try:
        BytesGenerator(octets, mangle_from_=False, policy=message.policy).flatten(message)
    except Exception as error:
        raise refused(f"Python cannot write it: {type(error).__name__}") from error
    return octets.getvalue()


def _sender(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"sender: expected an address as str, or '' for the null sender, got {type(value).__name__}")
    return _mailbox(value, "sender") if value.strip() not in ("", "<>") else ""


def _mailboxes(value: Any, most: int) -> list[str]:
    items = [value] if isinstance(value, str) else value
    if isinstance(items, bytes) or not isinstance(items, Iterable):
        raise TypeError(f"recipients: expected a list of addresses, got {type(value).__name__}")
    read = [_item(number, item) for number, item in enumerate(islice(items, most + 1))]  # it may have no end
    if len(read) > most:
        raise Unsendable("too_many_recipients", f"recipients: more than {most} addresses")
    return read


def _item(number: int, item: Any) -> str:
    if not isinstance(item, str):
        raise TypeError(f"recipients[{number}]: expected an address as str, got {type(item).__name__}")
    return _mailbox(item, f"recipients[{number}]")


def _mailbox(text: str, field: str) -> str:
    """Of this machine's own users, as a relay knows them, a name alone will do."""
    text = exact(text)
    return text if _LOCAL.fullmatch(text) and "=?" not in text else address.parse(text, field).address


def _from(headers: list[Header]) -> str:
    authors = _addresses(headers, (b"sender",), "sender") or _addresses(headers, (b"from",), "sender")
    if len(authors) != 1:
        raise refused(f"{len(authors)} addresses in its From, and no Sender: pass sender=")
    return authors[0]


def _to(headers: list[Header]) -> list[str]:
    return _addresses(headers, _RECIPIENTS, "recipients")


def _addresses(headers: list[Header], names: tuple[bytes, ...], argument: str) -> list[str]:
    """Those in these headers. Who must be told by guessing is not."""
    if any(header.name.startswith(b"resent-") for header in headers):
        raise refused(f"was sent again (Resent-…), and does not say to whom now: pass {argument}=")
    return [text for header in headers if header.name in names for text in _read(header, argument)]


def _read(header: Header, argument: str) -> list[str]:
    name = header.name.decode("ascii").title()
    parsed = _parsed(name, header.value) if len(header.lines) <= _LONGEST else None
    if parsed is None or not all(map(_may_be, parsed.defects)):
        raise refused(f"its {name} cannot be read without guessing{argument and f': pass {argument}='}")
    return [_mailbox(item.addr_spec, f"message: {name}") for item in parsed.addresses]


def _parsed(name: str, value: str) -> Any:
    """None where Python's parser stumbles: it raises IndexError and AttributeError of what is cut off (cpython 148518,
    151857), and RecursionError of many brackets."""
    try:
        header: Any = message_from_string(f"{name}: {value}\n\n", policy=policy.default)[name]
        return header if all([isinstance(item.addr_spec, str) for item in header.addresses]) else None
    except Exception:  # noqa: BLE001 - what it raises is as manifold as what it reads
        return None


def _may_be(defect: Exception) -> bool:
    """Odd, and yet as clear as can be: RFC 6532's letters, a user of this machine, a form of RFC 822."""
    return isinstance(defect, ObsoleteHeaderDefect) or any(words in str(defect) for words in _ODD)


def _check_senders(mail: RawMail, headers: list[Header], senders: Senders) -> None:
    """Where a site says as whom mail may be sent: whoever the message shows as its author, and MAIL FROM."""
    for header in headers:
        if header.name in (b"from", b"sender"):
            shown = _read(header, "")
            if not shown:
                raise refused(f"its {header.name.decode('ascii').title()} has no address")
            for author in shown:
                senders.check(f"message: {header.name.decode('ascii').title()}", author)
    if mail.return_path:
        senders.check("sender", mail.return_path)


def _check_recipients(mail: RawMail, limits: Limits) -> None:
    if not mail.recipients:
        raise Unsendable("no_recipient", "recipients: no recipient")
    size = sum(map(len, mail.recipients))
    if size > limits.recipients:
        raise Unsendable("too_many_recipients", f"recipients: {size} octets, more than {limits.recipients}")
