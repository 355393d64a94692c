"""Headers that readers take apart: ids, URLs, words of a protocol. Pure.

They are never written in encoded words, in which nobody looks for an id or a URL, and are folded at blanks only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from ...errors import Unsendable
from .encoded import misleads

_VALUE = re.compile(rb"[\t\x20-\x7e]*")
_URL = re.compile(r"[!-;=?-~]{1,900}")
_FOLD_AT: Final = 76
_LONGEST_WORD: Final = 900
"""Octets without a blank: such a word cannot be folded, and no line has more than 998."""

_NAMES: Final = frozenset(
    ("in-reply-to", "references", "auto-submitted", "feedback-id", "precedence", "importance", "priority", "x-priority",
     "x-msmail-priority", "sensitivity", "archived-at", "supersedes", "disposition-notification-to",
     "return-receipt-to", "errors-to", "x-auto-response-suppress")
)  # fmt: skip


def never_encoded(name: str) -> bool:
    """True for headers that programs read. Whatever ends in `-ID` is taken for one of those."""
    lower = name.lower()
    return lower in _NAMES or lower.startswith("list-") or lower.endswith("-id")


def stands_once(name: str) -> bool:
    """True where RFC 5322, 3.6, RFC 2369, 3 or RFC 3834, 5 allows one in a mail: Gmail refuses a second."""
    lower = name.lower()
    return lower in _NAMES or lower.startswith("list-")


def problem(value: bytes) -> str:
    """Why this cannot be the value of such a header; empty where it can."""
    if not _VALUE.fullmatch(value):
        return "expected ASCII: this header is never encoded"
    if any(len(word) > _LONGEST_WORD for word in value.split()):
        return f"holds a word of more than {_LONGEST_WORD} characters, and is folded at blanks alone"
    if b"=?" in value and misleads(value):
        return "holds what a reader may take for an encoded word"
    return ""


def line(field: bytes, value: bytes) -> bytes:
    """A whole line, or several; `field` has its colon and blank. Blanks mean nothing but the end of a word in such a
    value, so that runs of them are one."""
    lines, current = [], field
    for word in value.split():
        if current == field:
            current += word
        elif len(current) + len(word) < _FOLD_AT:
            current += b" " + word
        else:
            lines.append(current)
            current = b" " + word
    return b"\r\n".join((*lines, current, b""))


def list_unsubscribe(urls: tuple[str, ...]) -> Iterator[tuple[bytes, bytes]]:
    """List-Unsubscribe (RFC 2369), and beside it List-Unsubscribe-Post where a URL is `https:` (RFC 8058): names, and
    their lines. Raises `Unsendable("unbuildable")` for what was refused at the call."""
    if not all(_URL.fullmatch(url) for url in urls):
        raise Unsendable("unbuildable", "list_unsubscribe: a link holds what no header may hold")
    # As a reader may look for encoded words here, too, none is left to be found. For a URL it means the same.
    items = [b"<" + url.replace("=?", "=%3F").encode("ascii") + b">" for url in urls]
    yield b"List-Unsubscribe", b"List-Unsubscribe: " + b",\r\n ".join(items) + b"\r\n"
    if any(url[:6].lower() == "https:" for url in urls):
        yield b"List-Unsubscribe-Post", b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
