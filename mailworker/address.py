"""Is this text one mail address, and how is it written on the wire? No address is ever repaired or guessed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from .errors import Unsendable

_ATEXT = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9])?"
_PLAIN: Final = re.compile(rf"({_ATEXT}(?:\.{_ATEXT})*)@{_LABEL}(?:\.{_LABEL})*")
_NAMED: Final = re.compile(r'\s*(?:"((?:[^"\\]|\\.)*)"|([^<>"@,]*?))\s*<([^<>]*)>\s*')
_MAX_LOCAL, _MAX_DOMAIN = 64, 255  # RFC 5321, 4.5.3.1


@dataclass(frozen=True, slots=True)
class Mailbox:
    """One recipient or sender. `address` is what goes into MAIL and RCPT; `name` is UTF-8 (or not) or empty."""

    address: str
    name: bytes = b""

    @property
    def smtputf8(self) -> bool:
        """True where the local part is not ASCII, so that the relay must know RFC 6531."""
        return not self.address.isascii()


def check(address: str, field: str = "to") -> str:
    """The address as it goes on the wire: unchanged, or with an international domain in punycode.

    Raises `Unsendable("bad_address")` for anything that RFC 5322 does not allow as one `addr-spec`. The detail
    names the field and the problem, and not the address: details go to logs.
    """
    match = _PLAIN.fullmatch(address)
    if match is not None and len(match[1]) <= _MAX_LOCAL and len(address) - len(match[1]) <= _MAX_DOMAIN:
        return address
    return _checked_by_library(address, field)


def _checked_by_library(address: str, field: str) -> str:
    from email_validator import EmailNotValidError, validate_email  # noqa: PLC0415 - half the cost of a start

    try:
        address.encode("utf-8")
        if any(ord(character) < 32 or 127 <= ord(character) < 160 for character in address):
            raise Unsendable("bad_address", f"{field}: an address holds a control character")
        result = validate_email(
            address,
            allow_quoted_local=True,
            allow_domain_literal=True,
            check_deliverability=False,
            globally_deliverable=False,
        )
    except UnicodeEncodeError:
        raise Unsendable("bad_address", f"{field}: an address is not valid text") from None
    except EmailNotValidError as error:
        raise Unsendable("bad_address", f"{field}: not a mail address: {_without_values(str(error))}") from None
    local, _, domain = address.rpartition("@")
    if not domain.isascii():
        domain = result.ascii_domain
    return f"{local}@{domain}"


def _without_values(text: str) -> str:
    """The library's sentence without the characters and names it quotes from the address."""
    return re.sub(r"'[^']*'", "…", text.split(":", maxsplit=1)[0]).rstrip(".")


def parse(text: str, field: str) -> Mailbox:
    """`Name <address>` or a bare address, as new code and the settings write it.

    Raises `Unsendable("bad_address")`.
    """
    match = _NAMED.fullmatch(text)
    if match is None:
        return Mailbox(check(text, field))
    quoted, bare, address = match.groups()
    name = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else bare
    return Mailbox(check(address, field), name.encode("utf-8", "surrogatepass"))
