"""Is this text one mail address, and how is it written on the wire? No address is ever repaired or guessed."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from ..errors import Unsendable

MAX_OCTETS: Final = 320
"""RFC 5321, 4.5.3.1: 64 for the local part, which some mail systems exceed, and 255 for the domain."""

_ATEXT = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_DOMAIN = rf"{_LABEL}(?:\.{_LABEL})*"
_PLAIN: Final = re.compile(rf"{_ATEXT}(?:\.{_ATEXT})*@{_DOMAIN}")
_DOMAIN_NAME: Final = re.compile(_DOMAIN)

# RFC 6532 adds every character outside ASCII. What cannot be printed was refused before.
_ATEXT_8 = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\u0080-\U0010FFFF-]+"
_LOCAL: Final = re.compile(rf'{_ATEXT_8}(?:\.{_ATEXT_8})*|"(?:[^"\\]|\\.)+"')
_QUOTED_NAME: Final = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_ENCODED_WORD: Final = re.compile(r"=\?.*\?=")
_PARENT: Final = ".example"


@dataclass(frozen=True, slots=True)
class Mailbox:
    """One recipient or sender. `address` is what goes into MAIL and RCPT; `name` is UTF-8 (or not) or empty."""

    address: str
    name: bytes = b""

    @property
    def smtputf8(self) -> bool:
        """True where the local part is not ASCII, so that the relay must know RFC 6531."""
        return not self.address.isascii()


def each_once(mailboxes: Iterable[Mailbox]) -> tuple[Mailbox, ...]:
    """Each address once, where it first stood, with the last name given to it."""
    return tuple({mailbox.address: mailbox for mailbox in mailboxes}.values())


def check(address: str, field: str = "to") -> str:
    """The address as it goes on the wire: unchanged, or with an international domain in punycode.

    Raises `Unsendable("bad_address")` for anything that RFC 5321 does not allow as one mailbox. The detail names the
    field and the problem, and not the address: details go to logs.
    """
    if len(address) <= MAX_OCTETS and _PLAIN.fullmatch(address) and "=?" not in address:
        return address
    try:
        return _unusual(address)
    except ValueError as error:
        raise Unsendable("bad_address", f"{field}: {error}") from None


def _unusual(address: str) -> str:
    """As `check`, for quoted local parts, literals and what is not ASCII. Raises `ValueError` with the problem."""
    if len(address) > MAX_OCTETS:
        raise ValueError(f"an address is longer than {MAX_OCTETS} octets")
    if not address.isprintable():
        raise ValueError("an address holds a control character, or one that cannot be seen")
    if _ENCODED_WORD.search(address):
        raise ValueError("an address holds what a reader may take for an encoded word")
    local, _, domain = address.rpartition("@")
    if not _LOCAL.fullmatch(local):
        raise ValueError(_problem(address))
    written = f"{local}@{_domain(domain)}"
    if len(written.encode("utf-8")) > MAX_OCTETS:
        raise ValueError(f"an address is longer than {MAX_OCTETS} octets")
    return written


def _problem(address: str) -> str:
    if "@" not in address:
        return "an address has no @"
    if "<" in address or ">" in address:
        return "an address stands in angle brackets or holds one"
    if "," in address or ";" in address or address.count("@") > 1:
        return "more than one address in one text"
    if " " in address:
        return "an address holds a blank"
    return "what stands before the @ is not allowed in an address"


def _domain(domain: str) -> str:
    if _DOMAIN_NAME.fullmatch(domain):
        return domain
    if domain.startswith("[") and domain.endswith("]") and domain.isascii():
        return _literal(domain)
    if not domain.isascii():
        return _punycode(domain)
    raise ValueError("what stands after the @ is not a domain")


def _literal(domain: str) -> str:
    text = domain[1:-1]
    try:
        if text[:5].lower() == "ipv6:":
            IPv6Address(text[5:])
        else:
            IPv4Address(text)
    except ValueError:
        raise ValueError("what stands after the @ is not an IP address") from None
    if "%" in text:  # a scope, which Python knows and RFC 5321 does not
        raise ValueError("what stands after the @ is not an IP address")
    return domain


def _punycode(domain: str) -> str:
    from email_validator import EmailNotValidError, validate_email  # noqa: PLC0415 - half the cost of a start

    try:
        # Below a parent, so that reserved names (test, local) are as good as they are in ASCII.
        checked = validate_email(f"x@{domain}{_PARENT}", check_deliverability=False, globally_deliverable=False)
    except EmailNotValidError:
        raise ValueError("what stands after the @ is not an international domain") from None
    written = checked.ascii_domain.removesuffix(_PARENT)
    if not _DOMAIN_NAME.fullmatch(written):
        raise ValueError("what stands after the @ is not an international domain")
    return written


def parse(text: str, field: str) -> Mailbox:
    """`Name <address>` or a bare address, as new code and the settings write it.

    Raises `Unsendable` with reason `bad_address` or `bad_text`.
    """
    stripped = text.strip()
    if not stripped.endswith(">"):
        return Mailbox(check(text, field))
    name, _, address = stripped[:-1].rpartition("<")
    try:
        return Mailbox(check(address, field), _name(name.strip()).encode("utf-8"))
    except UnicodeEncodeError:
        raise Unsendable("bad_text", f"{field}: a name holds a lone surrogate, which is not text") from None
    except ValueError as error:
        raise Unsendable("bad_address", f"{field}: {error}") from None


def _name(text: str) -> str:
    quoted = _QUOTED_NAME.fullmatch(text)
    if quoted:
        return re.sub(r"\\(.)", r"\1", quoted[1], flags=re.DOTALL)
    if any(special in text for special in '<>"@,'):
        raise ValueError('a name with one of <>@," in it is written in quotes')
    return text
