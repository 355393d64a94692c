"""What a DKIM signature covers of a message: its headers and its body in their relaxed form (RFC 6376, 3.4). Pure.

Relays may fold a header anew and squeeze blanks: in this form that changes nothing. A message is octets whose lines end
in CRLF. Its body is not copied: it is looked at in pieces, and most pieces are relaxed already.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final

PIECE: Final = 64 * 1024
"""Octets of a body that are looked at together: they stay in the processor's cache."""

_BLANKS: Final = b" \t\r\n"
_TAIL: Final = 256


def head_and_body(message: bytes) -> tuple[bytes, int]:
    """The header lines without the last CRLF, and where the body begins."""
    if message.startswith(b"\r\n"):
        return b"", 2
    end = message.find(b"\r\n\r\n")
    if end < 0:
        return message.removesuffix(b"\r\n"), len(message)
    return message[:end], end + 4


def fields(head: bytes) -> dict[bytes, list[bytes]]:
    """The headers by their names in lower case, those of one name from top to bottom. Each value is one line, with
    single blanks, and none around it (3.4.2)."""
    unfolded = _single_blanks(head.replace(b"\r\n ", b" ").replace(b"\r\n\t", b" "))
    found: dict[bytes, list[bytes]] = {}
    for line in unfolded.split(b"\r\n"):
        name, colon, value = line.partition(b":")
        if colon:
            found.setdefault(name.rstrip(b" ").lower(), []).append(value.strip(b" "))
    return found


def body_hash(message: bytes, begin: int) -> bytes:
    """SHA-256 of the body, which begins there (3.4.4). One without a character is hashed as no octets at all."""
    digest = sha256()
    end = _end_of_text(message, begin)
    if begin == end:
        return digest.digest()
    octets = memoryview(message)
    while begin < end:
        cut = _end_of_piece(message, begin, end)
        if message.find(b" ", begin, cut) < 0 and message.find(b"\t", begin, cut) < 0:
            digest.update(octets[begin:cut])
        else:
            digest.update(_relaxed(message[begin:cut]))
        begin = cut
    digest.update(b"\r\n")
    return digest.digest()


def _end_of_text(message: bytes, begin: int) -> int:
    """Behind the last octet that is no blank and no line break; `begin` where there is none."""
    end, tail = len(message), _TAIL
    while end > begin:
        start = max(begin, end - tail)
        text = message[start:end].rstrip(_BLANKS)
        if text:
            return start + len(text)
        end, tail = start, 2 * tail
    return begin


def _end_of_piece(message: bytes, begin: int, end: int) -> int:
    """Behind a line break, since blanks at a line's end are seen with it."""
    if begin + PIECE >= end:
        return end
    cut = message.rfind(b"\n", begin, begin + PIECE) + 1 or message.find(b"\n", begin + PIECE, end) + 1
    return cut or end


def _relaxed(lines: bytes) -> bytes:
    return _single_blanks(lines).replace(b" \r\n", b"\r\n")


def _single_blanks(text: bytes) -> bytes:
    """Each run of blanks and tabs as one blank. Replacements are five times as fast as a pattern, and one that finds
    nothing is faster than to ask first: it gives back the same octets."""
    text = text.replace(b"\t", b" ")
    while len(shorter := text.replace(b"  ", b" ")) < len(text):
        text = shorter
    return text
