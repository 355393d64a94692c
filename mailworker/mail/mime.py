"""An `Email` becomes an `Envelope`: sender, recipients, and the octets that go between DATA and the dot.

Every line ends in CRLF and has at most 998 octets (RFC 5322, 2.1.1); no bare CR or LF is left. ASCII goes as it is, any
other body as quoted-printable, which is what Swiftmailer made of all of them: any octet arrives as it was.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from binascii import a2b_qp, b2a_qp
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import lru_cache
from hashlib import sha256
from operator import attrgetter
from typing import Final
from urllib.parse import quote

from ..envelope import Envelope
from ..errors import Unsendable
from .address import Mailbox
from .email import Email
from .fields import FIELDS

_CONTROLS = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]+")
_UNICODE_CONTROLS = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]+")
_PRINTABLE = re.compile(rb"[\x20-\x7e]*")
_ATOMS = re.compile(rb"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_ENCODED_WORD = re.compile(
    rb"=\?(utf-8|us-ascii|iso-8859-[0-9]{1,2}|windows-125[0-8]|gb2312|gbk|gb18030|big5|iso-2022-jp|shift_jis|euc-jp"
    rb"|euc-kr|koi8-[ru])\?(?:b\?([a-z0-9+/]*={0,2})|q\?((?:[!-<>@-^`-~_]|=[0-9a-f]{2})*))\?=",
    re.IGNORECASE,
)
_DOT_ATOM = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_CONTROL_OCTET = re.compile(rb"[\x00-\x1f\x7f]")
_MANY_BLANKS = b" " * 64
_ADDRESSEES: Final = tuple((field.header, attrgetter(field.name)) for field in FIELDS if field.header is not None)
_NAMES: Final = b"|".join((b"Subject", b"From", b"Date", b"Message-ID", *(name for name, _ in _ADDRESSEES)))
_HEAD = re.compile(rb"(?:(?=[^\r\n\0]{1,998}+\r\n)(?:(?:" + _NAMES + rb"): | (?=[^\S\r\n]*+[^\s]))[^\r\n]*+\r\n)+")

_FOLD_AT: Final = 76
_LONGEST_LINE: Final = 998
_LONGEST_WORD: Final = 900
_LONGEST_PHRASE: Final = 400  # as a quoted string it may double
_LONGEST_ID: Final = 250
_WORD_OCTETS: Final = 45  # 60 base64 characters: an encoded word has at most 75 (RFC 2047, 2)

_MIME_HEADERS: Final = b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: "


def build(email: Email, sender: Mailbox, message_id: str, accepted_ms: int) -> Envelope:
    """The envelope of `email`, the same octets at every call.

    `message_id` is any text, an @ and a domain; `accepted_ms` is the Unix time in milliseconds that becomes `Date`.

    Raises `Unsendable("unbuildable")` rather than hand out a header that RFC 5322 does not allow.
    """
    recipients = email.recipients
    smtputf8 = sender.smtputf8 or any([mailbox.smtputf8 for mailbox in recipients])
    head = b"".join(
        (
            _unstructured(b"Subject: ", email.subject) if email.subject else b"",
            b"From: " + _author(sender) + b"\r\n",
            _addressees(email),
            b"Date: " + _date(accepted_ms // 1000) + b"\r\n",
            b"Message-ID: <" + _message_id(message_id) + b">\r\n",
        )
    )
    _check(head)
    encoding, body = _content(email.body)
    return Envelope(
        sender=sender.address,
        recipients=tuple([mailbox.address for mailbox in recipients]),
        data=b"".join((head, _MIME_HEADERS, encoding, b"\r\n\r\n", body)),
        smtputf8=smtputf8,
    )


def _message_id(text: str) -> bytes:
    """Another for every other text, in the characters that RFC 5322, 3.6.4 allows before the @."""
    left, _, domain = text.rpartition("@")
    if not _DOT_ATOM.fullmatch(left):
        left = quote(left, safe="", errors="surrogatepass").replace(".", "%2E")
    if len(left) > _LONGEST_ID:
        left = sha256(left.encode("ascii")).hexdigest()
    return f"{left}@{domain}".encode("ascii")


@lru_cache(maxsize=1024)
def _date(unix_seconds: int) -> bytes:
    return format_datetime(datetime.fromtimestamp(unix_seconds, UTC)).encode("ascii")


def _content(body: bytes) -> tuple[bytes, bytes]:
    """The name of the transfer encoding, and the body in it."""
    body = _with_crlf(body)
    if not body.endswith(b"\r\n"):
        body += b"\r\n"  # also tells b2a_qp that its soft breaks are to be CRLF
    if body.isascii() and b"\0" not in body and _has_short_lines(body):
        return b"7bit", body
    return b"quoted-printable", b2a_qp(body, quotetabs=False, istext=True)


def _with_crlf(body: bytes) -> bytes:
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


def _has_short_lines(body: bytes) -> bool:
    """True where every line fits into 998 octets; looks at the text in strides, not at each octet."""
    begin, enough = 0, len(body) - _LONGEST_LINE - 2
    while begin < enough:
        begin = body.rfind(b"\n", begin, begin + _LONGEST_LINE + 2) + 1
        if not begin:
            return False
    return True


def _unstructured(name: bytes, value: bytes) -> bytes:
    text = _without_controls(value)
    if text != text.strip() or not _goes_as_it_is(text):
        return name + _encoded_words(text) + b"\r\n"
    if len(name) + len(text) <= _FOLD_AT:
        return name + text + b"\r\n"
    return name + _folded(text, len(name)) + b"\r\n"


def _without_controls(value: bytes) -> bytes:
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
    return b"=?" not in text or not _misleads(text)


def _misleads(text: bytes) -> bool:
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


def _encoded_words(text: bytes) -> bytes:
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


def _addressees(email: Email) -> bytes:
    headers = b""
    for name, mailboxes_of in _ADDRESSEES:
        mailboxes = mailboxes_of(email)
        if mailboxes:
            headers += b"%b: %b\r\n" % (name, _mailboxes(mailboxes))
    return headers


def _mailboxes(mailboxes: tuple[Mailbox, ...]) -> bytes:
    items = [_mailbox(mailbox) for mailbox in mailboxes]
    line = b", ".join(items)
    if len(line) + 4 <= _FOLD_AT:
        return line
    return b",\r\n ".join(items)


@lru_cache(maxsize=8)
def _author(sender: Mailbox) -> bytes:
    """The same in every mail of a site."""
    return _mailbox(sender)


def _mailbox(mailbox: Mailbox) -> bytes:
    address = mailbox.address.encode("utf-8")
    if not mailbox.name:
        return address
    phrase = _phrase(_without_controls(mailbox.name))
    joint = b" " if len(phrase) + len(address) < _FOLD_AT - 8 else b"\r\n "
    return phrase + joint + b"<" + address + b">"


def _phrase(name: bytes) -> bytes:
    if len(name) <= _LONGEST_PHRASE and _goes_as_it_is(name):
        if _ATOMS.fullmatch(name):
            return name
        if b"=?" not in name:
            return b'"' + name.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
    return _encoded_words(name)


def _check(head: bytes) -> None:
    """What was built is looked at once more: a header that nobody meant is worse than a dead letter."""
    if not _HEAD.fullmatch(head):
        raise Unsendable("unbuildable", "its headers cannot be written as RFC 5322 wants them")
