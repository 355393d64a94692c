"""Which charset a text file is in, as far as its octets tell. Pure."""

from __future__ import annotations

from codecs import BOM_UTF16_BE, BOM_UTF16_LE, getincrementaldecoder
from typing import Final

_SLICE: Final = 64 * 1024


def charset_of(content: bytes) -> str:
    """Empty where they do not tell: a reader guesses better than it reads what is wrong."""
    if content.isascii() or _is_utf8(content):
        return "utf-8"
    return "utf-16" if content.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) else ""


def _is_utf8(content: bytes) -> bool:
    """Without a text beside it, which may have four times its octets."""
    decode = getincrementaldecoder("utf-8")().decode
    try:
        for begin in range(0, len(content), _SLICE):
            decode(content[begin : begin + _SLICE])
        decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True
