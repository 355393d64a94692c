"""Transfer encodings (RFC 2045, 6): which one a text goes in, and octets as base64 lines. Pure.

Of whatever comes, nothing leaves but lines that end in CRLF and have at most 998 octets (RFC 5322, 2.1.1). Large
content is copied as seldom as can be: a line here that looks odd saves a copy of it, or time.
"""

from __future__ import annotations

from binascii import b2a_base64, b2a_qp
from collections.abc import Iterator
from struct import Struct
from typing import Final

LONGEST_LINE: Final = 998
"""Octets, without its CRLF (RFC 5322, 2.1.1)."""

_LARGE: Final = 1024 * 1024
_LINES: Final = 1024
_OF_LINE: Final = 57
_SLICE: Final = _OF_LINE * _LINES
_cut: Final = Struct("76s" * _LINES).unpack
"""`_LINES` lines of 76 letters at once: half the time of cutting them off one by one."""


def text(body: bytes) -> tuple[bytes, bytes]:
    """The name of the transfer encoding, and the text in it, which ends in CRLF.

    7bit where every relay takes it so. Else quoted-printable, in which any octet arrives as it was: filters mind a
    text/plain in base64. A large one is in base64 all the same where quoted-printable would make it three times as
    large, and relays would refuse it for its size.
    """
    body = closed(body)  # also tells b2a_qp that its soft breaks are to be CRLF
    if goes_as_it_is(body):
        return b"7bit", body
    if len(body) > _LARGE and (_outside_ascii(body) + body.count(b"=")) * 6 > len(body):
        return b"base64", base64(body)
    return b"quoted-printable", b2a_qp(body, quotetabs=False, istext=True)


def html(body: bytes) -> tuple[bytes, bytes]:
    """As `text`, but in base64 where that is shorter, and then without a line break that its author did not write."""
    if not body.isascii() and _outside_ascii(body) * 6 > len(body):
        return b"base64", base64(with_crlf(body))
    return text(body)


def _outside_ascii(body: bytes) -> int:
    return len(body) - len(body.decode("ascii", "ignore"))


def closed(body: bytes) -> bytes:
    """The text with CRLF for every line break, and one at its end."""
    body = with_crlf(body)
    return body if body.endswith(b"\r\n") else body + b"\r\n"


def goes_as_it_is(body: bytes) -> bool:
    """True where this text, which ends in CRLF, is 7bit (RFC 2045, 2.7)."""
    return body.isascii() and b"\0" not in body and has_short_lines(body)


def with_crlf(body: bytes) -> bytes:
    """Every line break as CRLF. Looks for single octets where it can: bytes finds them ten times as fast as pairs."""
    if b"\r" not in body:
        return body.replace(b"\n", b"\r\n")
    lines = body.replace(b"\r", b"").replace(b"\n", b"\r\n")
    if lines == body:
        return body
    del lines
    # One name for all the copies: two at most are alive at once.
    body = body.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return body.replace(b"\n", b"\r\n")


def has_short_lines(body: bytes) -> bool:
    """True where every line fits into 998 octets; looks at the text in strides, not at each octet."""
    begin, enough = 0, len(body) - LONGEST_LINE - 2
    while begin < enough:
        begin = body.rfind(b"\n", begin, begin + LONGEST_LINE + 2) + 1
        if not begin:
            return False
    return True


def base64(content: bytes) -> bytes:
    """As lines of 76 letters, the last one closed as well: a finished part, which may be kept and used again."""
    return b"".join(base64_slices(content))


def base64_size(octets: int) -> int:
    """About how many octets `base64` makes of so many: a line of 76 letters and CRLF of each 57."""
    return octets * (76 + 2) // _OF_LINE


def base64_slices(content: bytes) -> Iterator[bytes]:
    """The same in slices, so that content and part are never there twice. Joined, they are `base64` of it."""
    view = memoryview(content)
    whole = len(content) // _SLICE * _SLICE
    for begin in range(0, whole, _SLICE):
        yield b"\r\n".join((*_cut(b2a_base64(view[begin : begin + _SLICE], newline=False)), b""))
    letters = b2a_base64(view[whole:], newline=False)
    if letters:
        yield b"\r\n".join([*[letters[begin : begin + 76] for begin in range(0, len(letters), 76)], b""])
    elif not content:
        yield b"\r\n"  # an empty part has a line as well, or a boundary would stand among headers
