"""The header block of a finished message, line by line (RFC 5322, 2.2): what is no header block is refused. Pure.

One rule for all of it: every reader must see the same headers. A lone CR, or two kinds of line ends, are a line break
to one reader and none to the next, and so the way in which a text becomes a header.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Final, NamedTuple

from ...errors import Unsendable
from ..encoding import LONGEST_LINE

_NAME: Final = re.compile(rb"([!-9;-~]+):")
_CONTROL: Final = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")
_END: Final = re.compile(rb"\n\r?\n")

ONCE: Final = frozenset(
    b"from sender reply-to to cc message-id in-reply-to references subject date mime-version content-type"
    b" content-transfer-encoding".split()
)
"""RFC 5322, 3.6, and RFC 2045: where there are two, relays and readers differ in which one counts, and some refuse."""


class Header(NamedTuple):
    """`name` in lower case. `lines` is all of it, folded or not, and ends in CRLF."""

    name: bytes
    lines: bytes

    @property
    def value(self) -> str:
        """Unfolded, without the blanks around it."""
        text = self.lines[len(self.name) + 1 :].replace(b"\r\n", b"")
        return text.decode("utf-8").strip()


def split(message: bytes) -> tuple[list[Header], bytes]:
    """The headers, and the body as it came. Raises `Unsendable("bad_message")`."""
    if message.startswith(b"From "):  # of an mbox file, and no header
        message = message.partition(b"\n")[2]
    if message[:1] in (b"\r", b"\n"):
        raise refused("begins with an empty line, and so has no headers")
    end = _END.search(message)
    head, body = (message, b"") if end is None else (message[: end.start() + 1], message[end.end() :])
    return _headers(head), body


def refused(problem: str) -> Unsendable:
    """The error for a message that is none, or that a relay would not take as it is."""
    return Unsendable("bad_message", f"message: {problem}")


def _headers(head: bytes) -> list[Header]:
    found: list[tuple[bytes, list[bytes]]] = []
    for line in _lines(head):
        if line[:1] in (b" ", b"\t"):
            if line.strip():
                if not found:
                    raise refused("its first line begins with a blank, as no header does")
                found[-1][1].append(line)
            continue  # nothing but blanks: an end of the headers to some readers, and to others no word of the value
        name = _NAME.match(line)
        if name is None:
            raise refused(f"line {len(found) + 1} of its headers is not `Name: value`")
        found.append((name[1].lower(), [line]))
    headers = [Header(name, b"\r\n".join((*lines, b""))) for name, lines in found]
    _check_once(headers)
    return headers


def _lines(head: bytes) -> list[bytes]:
    both = head.count(b"\r\n")
    if head.count(b"\r") != both:
        raise refused("a header holds a CR without a LF")
    if both and head.count(b"\n") != both:
        raise refused("its headers end some lines with CRLF and some with a LF alone")
    lines = head.replace(b"\r\n", b"\n").split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    if max(map(len, lines), default=0) > LONGEST_LINE:
        raise refused(f"a header has a line of more than {LONGEST_LINE} octets")
    _check_text(b"\t".join(lines))
    return lines


def _check_text(text: bytes) -> None:
    try:
        control = _CONTROL.search(text.decode("utf-8"))
    except UnicodeDecodeError:
        raise refused("a header holds octets that are neither ASCII nor UTF-8") from None
    if control is not None:
        raise refused(f"a header holds the control character U+{ord(control[0]):04X}")


def _check_once(headers: list[Header]) -> None:
    for name, number in Counter([header.name for header in headers]).items():
        if number > 1 and name in ONCE:
            raise refused(f"{number} headers are called {name.decode('ascii').title()}, and one is allowed")
