"""How a text or a mailbox is written into a header: folded, and in encoded words where it is not ASCII. Pure.

Nothing passes that a reader may take for another header, or may decode to a control character (RFC 5322, RFC 2047).
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from binascii import a2b_qp
from typing import Final

from ..address import Mailbox

_CONTROLS = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]+")
_UNICODE_CONTROLS = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]+")
_PRINTABLE = re.compile(rb"[\x20-\x7e]*")
_ATOMS = re.compile(rb"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_ENCODED_WORD = re.compile(
    rb"=\?(utf-8|us-ascii|iso-8859-[0-9]{1,2}|windows-125[0-8]|gb2312|gbk|gb18030|big5|iso-2022-jp|shift_jis|euc-jp"
    rb"|euc-kr|koi8-[ru])\?(?:b\?([a-z0-9+/]*={0,2})|q\?((?:[!-<>@-^`-~_]|=[0-9a-f]{2})*))\?=",
    re.IGNORECASE,
)
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_CONTROL_OCTET = re.compile(rb"[\x00-\x1f\x7f]")
_MANY_BLANKS = b" " * 64

_FOLD_AT: Final = 76
_LONGEST_WORD: Final = 900
_LONGEST_PHRASE: Final = 400  # as a quoted string it may double
_WORD_OCTETS: Final = 45  # 60 base64 characters: an encoded word has at most 75 (RFC 2047, 2)


def unstructured(name: bytes, value: bytes) -> bytes:
    """A whole line, or several, for a header that holds text (RFC 5322, 2.2.1); `name` has its colon and blank."""
    text = without_controls(value)
    if text != text.strip() or not _goes_as_it_is(text):
        return name + encoded_words(text) + b"\r\n"
    if len(name) + len(text) <= _FOLD_AT:
        return name + text + b"\r\n"
    return name + _folded(text, len(name)) + b"\r\n"


def without_controls(value: bytes) -> bytes:
    """The text with one blank for each run of control characters but the tab, and of Unicode's line breaks.

    A reader that decodes an encoded word meets none of them: some end the header there, or the text at a NUL. Octets
    that are not UTF-8 stay as they are, for they may be text in another charset.
    """
    if not value.isascii():
        try:
            return _UNICODE_CONTROLS.sub(" ", value.decode("utf-8")).encode("utf-8")
        except UnicodeDecodeError:
            pass
    return _CONTROLS.sub(b" ", value)


def _goes_as_it_is(text: bytes) -> bool:
    """True for printable ASCII that means itself, or is made of encoded words that hide no control character."""
    if not _PRINTABLE.fullmatch(text):
        return False
    if len(text) > _FOLD_AT and (_MANY_BLANKS in text or max(map(len, text.split(b" "))) > _LONGEST_WORD):
        return False
    return b"=?" not in text or not misleads(text)


def misleads(text: bytes) -> bool:
    """True where a reader may decode something of `text` that is not plain text.

    Readers are lenient, and some take a decoded CR LF for the end of the header: only words that are correct pass.
    """
    if b"=?" in _ENCODED_WORD.sub(b"", text):
        return True
    runs: list[tuple[bytes, list[bytes]]] = []
    end = 0
    for word in _ENCODED_WORD.finditer(text):
        charset, octets = word[1].lower(), _octets(word)
        if octets is None or _hides_control(charset, octets):
            return True
        if runs and runs[-1][0] == charset and not text[end : word.start()].strip(b" "):
            runs[-1][1].append(octets)
        else:
            runs.append((charset, [octets]))
        end = word.end()
    # Many readers join the octets of neighbours before they decode them.
    return any(len(words) > 1 and _hides_control(charset, b"".join(words)) for charset, words in runs)


def _octets(word: re.Match[bytes]) -> bytes | None:
    _, base64, quoted = word.groups()
    try:
        return a2b_qp(quoted, header=True) if base64 is None else b64decode(base64)
    except Base64Error:
        return None


def _hides_control(charset: bytes, octets: bytes) -> bool:
    shifts = charset == b"iso-2022-jp"  # its escape sequences alone may hold a control octet
    if _CONTROL_OCTET.search(octets.replace(b"\x1b", b"") if shifts else octets):
        return True
    try:
        return _CONTROL.search(octets.decode(charset.decode("ascii"), "strict" if shifts else "replace")) is not None
    except (LookupError, UnicodeDecodeError):
        return True


def _folded(text: bytes, used: int) -> bytes:
    """The text with CRLF put before some of its own spaces, so that unfolding gives it back unchanged."""
    lines, line = [], b""
    for word in re.findall(rb" *[^ ]+", text):
        if line and used + len(line) + len(word) > _FOLD_AT:
            lines.append(line)
            line, used = b"", 0
        line += word
    lines.append(line)
    return b"\r\n".join(lines)


def encoded_words(text: bytes) -> bytes:
    """RFC 2047 words in UTF-8, never cut inside a character where the text is UTF-8."""
    words, begin = [], 0
    while begin < len(text):
        end = begin + _WORD_OCTETS
        for back in range(4):
            if end >= len(text) or text[end - back] & 0xC0 != 0x80:
                end -= back if end < len(text) else 0
                break
        words.append(b"=?utf-8?B?" + b64encode(text[begin:end]) + b"?=")
        begin = end
    return b"\r\n ".join(words)


def mailbox_list(mailboxes: tuple[Mailbox, ...]) -> bytes:
    """The value of a header that holds several (RFC 5322, 3.4), one a line where they do not fit into one."""
    items = [one_mailbox(mailbox) for mailbox in mailboxes]
    line = b", ".join(items)
    if len(line) + 4 <= _FOLD_AT:
        return line
    return b",\r\n ".join(items)


def one_mailbox(mailbox: Mailbox) -> bytes:
    """`Name <address>`, or the bare address."""
    address = mailbox.address.encode("utf-8")
    if not mailbox.name:
        return address
    phrase = _phrase(without_controls(mailbox.name))
    joint = b" " if len(phrase) + len(address) < _FOLD_AT - 8 else b"\r\n "
    return phrase + joint + b"<" + address + b">"


def _phrase(name: bytes) -> bytes:
    if len(name) <= _LONGEST_PHRASE and _goes_as_it_is(name):
        if _ATOMS.fullmatch(name):
            return name
        if b"=?" not in name:
            return b'"' + name.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
    return encoded_words(name)
