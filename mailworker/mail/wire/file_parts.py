"""Files as parts of a mail: attachments, images that the HTML shows, mails, invitations. Pure.

`encoded` holds finished base64 parts by digest: of files that many mails have. What is built is the same with it.
"""

from __future__ import annotations

import re
from binascii import a2b_base64
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Final

from ...errors import Unsendable
from .. import encoding, media_type
from ..file import File
from ..header import parameters
from ..media_type import MediaType
from .body_part import BodyPart
from .charset import charset_of

_CID: Final = re.compile(r"(?!.*=\?)[!-;=?-~]{1,900}")  # nor what a reader may take for an encoded word
_OCTETS: Final = MediaType("application/octet-stream", ())
_ICS: Final = MediaType("application/ics", ())
_MOST_CHARSETS: Final = 256
_charsets: Final[dict[str, str]] = {}
"""By the digests of files: what is true of a file's octets stays true."""


def attachment(file: File, encoded: Mapping[str, bytes]) -> BodyPart:
    """Raises `Unsendable("unbuildable")` for what no mail may hold."""
    kind = _kind(file)
    if kind.kind.startswith("message/"):
        return _mail(file, kind, encoded)
    if _is_invitation(kind):
        kind = _ICS
    return _encoded(file, kind, "attachment", encoded)


def inline(file: File, encoded: Mapping[str, bytes]) -> BodyPart:
    """An image that the HTML shows by its `cid`."""
    return _encoded(file, _kind(file), "inline", encoded)


def invitation(files: tuple[File, ...], encoded: Mapping[str, bytes]) -> BodyPart | None:
    """The one calendar among them that asks for something (`method=`), as a text of the mail.

    Outlook and Gmail show its buttons where it stands among the texts, has no disposition and is not in base64
    (PHPMailer 175, symfony-docs 22832). The file stays attached under a type of its own, as Google sends it.
    """
    found = [file for file in files if file.type and _is_invitation(_kind(file))]
    if len(found) != 1:
        return None
    kind, text = _as_lines(_with_charset(_kind(found[0]), found[0], encoded), _content(found[0], encoded))
    transfer, body = encoding.text(text)
    head = _head(kind, "", transfer.decode("ascii"), "", "")
    return BodyPart(head, (body,), len(body), body if transfer == b"7bit" else b"", b"\r\n")


def _as_lines(kind: MediaType, content: bytes) -> tuple[MediaType, bytes]:
    """In UTF-8, where a line break of its charset is not the one of a mail, as in UTF-16 (RFC 2781, 4)."""
    charset = next((value.strip('"') for name, value in kind.parameters if name == "charset"), "")
    if not charset.lower().startswith(("utf-16", "utf-32", "utf16", "utf32")):
        return kind, content
    try:
        text = content.decode(charset).removeprefix("\ufeff").encode("utf-8")
    except (LookupError, UnicodeError):
        return kind, content
    others = [parameter for parameter in kind.parameters if parameter[0] != "charset"]
    return MediaType(kind.kind, (*others, ("charset", "utf-8"))), text


def _is_invitation(kind: MediaType) -> bool:
    return kind.kind == "text/calendar" and kind.has("method")


def _mail(file: File, kind: MediaType, encoded: Mapping[str, bytes]) -> BodyPart:
    """A mail is in no transfer encoding (RFC 2046, 5.2.1): Thunderbird shows one in base64 as empty (mikel/mail 1106,
    odoo 194988). One that does not go as it is goes as a file, which readers open by the end of its name."""
    content = _content(file, encoded)
    body = encoding.closed(content)
    disposition = "inline" if file.cid else "attachment"
    if not encoding.goes_as_it_is(body):
        return _encoded(replace(file, name=file.name or "message.eml"), _OCTETS, disposition, encoded)
    end = b"\r\n" if content.endswith((b"\n", b"\r")) else b""
    return BodyPart(_head(kind, file.name, "7bit", disposition, file.cid), (body,), len(body), body, end)


def _encoded(file: File, kind: MediaType, disposition: str, encoded: Mapping[str, bytes]) -> BodyPart:
    if kind.kind.startswith("text/"):
        kind = _with_charset(kind, file, encoded)
    head = _head(kind, file.name, "base64", "inline" if file.cid else disposition, file.cid)
    finished = encoded.get(file.digest) if file.digest else None
    if finished is not None:
        return BodyPart(head, (finished,), len(finished))
    content = _content(file, encoded)
    return BodyPart(head, encoding.base64_slices(content), encoding.base64_size(len(content)))


def _with_charset(kind: MediaType, file: File, encoded: Mapping[str, bytes]) -> MediaType:
    charset = "" if kind.has("charset") else _charset(file, encoded)
    return MediaType(kind.kind, (*kind.parameters, ("charset", charset))) if charset else kind


def _charset(file: File, encoded: Mapping[str, bytes]) -> str:
    """A file that many mails have is looked at once."""
    charset = _charsets.get(file.digest)
    if charset is None:
        charset = charset_of(_content(file, encoded))
        if file.digest:
            if len(_charsets) >= _MOST_CHARSETS:
                _charsets.clear()
            _charsets[file.digest] = charset
    return charset


def _content(file: File, encoded: Mapping[str, bytes]) -> bytes:
    if file.content is not None:
        return file.content
    if file.digest not in encoded:
        raise Unsendable("unbuildable", "attachments: the octets of a file are not there")
    return a2b_base64(encoded[file.digest])


def _kind(file: File) -> MediaType:
    try:
        return media_type.read(file.type)
    except Unsendable as error:
        raise Unsendable("unbuildable", error.detail) from None


@lru_cache(maxsize=256)
def _head(kind: MediaType, name: str, transfer: str, disposition: str, cid: str) -> bytes:
    """The lines above a part. The same files come in many mails."""
    lines = b"Content-Type: " + kind.written()
    lines += (parameters.name(name) if disposition else b"") + b"\r\n"
    lines += b"Content-Transfer-Encoding: " + transfer.encode("ascii") + b"\r\n"
    if disposition:
        lines += b"Content-Disposition: " + disposition.encode("ascii") + parameters.filename(name) + b"\r\n"
    if cid:
        if not _CID.fullmatch(cid):
            raise Unsendable("unbuildable", "inline: a cid holds what no Content-ID may hold")
        lines += b"Content-ID: <" + cid.encode("ascii") + b">\r\n"
    return lines
