"""Whose mail a finished message is: the domains in the value of its From header (RFC 5322, 3.4). Pure.

A key to sign with is chosen by them, and receivers judge by them. Nothing is repaired: what cannot be read has none.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from ...errors import Unsendable
from .. import address

LONGEST: Final = 4096
"""Octets of a From header that is read: no program writes one of that length."""

_QUOTED: Final = re.compile(r'"(?:[^"\\]|\\.)*+"', re.DOTALL)
_COMMENT: Final = re.compile(r"\((?:[^()\\]|\\.)*+\)", re.DOTALL)
_ADDRESS: Final = re.compile(r'(?:""|[^@\s()<>"]+)\s*@\s*([^@\s()<>"]+)')
_DEEPEST: Final = 10


def from_domains(value: bytes) -> tuple[str, ...]:
    """In lower case and in punycode, each once, in the order in which they stand there."""
    return _read(value) if len(value) <= LONGEST else ()


@lru_cache(maxsize=256)
def _read(value: bytes) -> tuple[str, ...]:
    text = _without_comments(_QUOTED.sub('""', value.decode("utf-8", "replace")))
    domains = [_domain(_address(item)) for item in re.split("[,;]", text)]
    return tuple(dict.fromkeys(filter(None, domains)))


def _without_comments(text: str) -> str:
    """They may stand in each other."""
    for _ in range(_DEEPEST):
        text, count = _COMMENT.subn(" ", text)
        if not count:
            break
    return text


def _address(item: str) -> str:
    """Of `Name <address>`, `address`, or `Group: address`."""
    _, opened, rest = item.rpartition("<")
    inside, closed, _ = rest.partition(">")
    if opened:
        return inside.strip() if closed else ""
    return item.rpartition(":")[2].strip()


def _domain(text: str) -> str:
    found = _ADDRESS.fullmatch(text)
    if found is None:
        return ""
    try:
        return address.check("x@" + found[1], "From").rpartition("@")[2].lower()
    except Unsendable:
        return ""
