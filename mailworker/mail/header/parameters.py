"""Parameters of Content-Type and Content-Disposition: file names in any language (RFC 2045, 5.1; RFC 2231). Pure.

A name that is not plain stands there twice, since no way to write it is read by all: as RFC 2231 wants it in
Content-Disposition, and as an encoded word in Content-Type. That one no RFC allows, and Outlook and some web mailers
read no other (MimeKit 186 and 281, MailKit 1041, buildmail 4); it is what Gmail and Thunderbird send as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import quote

from .encoded import encoded_words, without_controls

_PLAIN = re.compile(rb"(?! )[\x20-\x21\x23-\x5b\x5d-\x7e]{1,900}(?<! )")
"""What needs no escape: some readers show the backslash of one. In a line of its own, since Outlook reads no
continuations."""
_SECTION: Final = 54
_LINE: Final = b";\r\n "


def name(file_name: str) -> bytes:
    """The end of a Content-Type: nothing, where the file has no name."""
    text = _text(file_name)
    if not text:
        return b""
    return _LINE + b'name="' + (text if _is_plain(text) else encoded_words(text)) + b'"'


def filename(file_name: str) -> bytes:
    """The end of a Content-Disposition."""
    text = _text(file_name)
    if not text:
        return b""
    if _is_plain(text):
        return _LINE + b'filename="' + text + b'"'
    sections = list(_sections(text.decode("utf-8")))
    if len(sections) == 1:
        return _LINE + b"filename*=UTF-8''" + sections[0]
    sections[0] = b"UTF-8''" + sections[0]
    return b"".join(_LINE + b"filename*%d*=%b" % numbered for numbered in enumerate(sections))


def _text(file_name: str) -> bytes:
    return without_controls(file_name.encode("utf-8", "replace"))


def _is_plain(text: bytes) -> bool:
    return _PLAIN.fullmatch(text) is not None and b"=?" not in text


def _sections(text: str) -> Iterator[bytes]:
    """Percent-encoded, and never cut inside a character: some readers decode each section by itself."""
    section = ""
    for character in text:
        written = quote(character, safe="")
        if len(section) + len(written) > _SECTION:
            yield section.encode("ascii")
            section = ""
        section += written
    yield section.encode("ascii")
