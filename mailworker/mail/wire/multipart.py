"""The parts of a mail that has more than a text, and the order in which they stand (RFC 2046, 5.1; RFC 2387). Pure.

`multipart/mixed( multipart/alternative( text/plain, multipart/related( text/html, images… ) ), files… )`, each level
only where it is needed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from typing import Final

from ...errors import Unsendable
from .. import encoding
from ..email import Email
from . import file_parts
from .body_part import BodyPart

_LARGE: Final = 1024 * 1024
_AROUND: Final = 300
"""Octets of the boundaries and the lines around a part, at most."""
_BOUNDARIES: Final = 100
"""One is enough, but for who knows the mail's Message-ID and writes it into the text."""


@dataclass(frozen=True, slots=True)
class _Multipart:
    kind: bytes
    parts: tuple[BodyPart | _Multipart, ...]


def write(head: bytes, email: Email, message_id: str, encoded: Mapping[str, bytes]) -> bytes:
    """`head`, and behind it the mail's parts with their headers.

    Raises `Unsendable("unbuildable")` where a file is none that a mail may hold.
    """
    top = _mixed(email, encoded)
    data = _room_for(len(head) + sum([_AROUND + len(part.head) + part.size for part in _leaves(top)]))
    data.write(head)
    data.writelines(_written(top, _token(top, message_id)))
    data.truncate()
    return data.getvalue()


def _room_for(octets: int) -> BytesIO:
    """It hands out what is written without a copy, where `join` would hold all parts beside the whole. For large mails
    the room is taken at once: to grow takes most of the time of one whose parts are finished, and slice by slice it
    leaves as much behind as it takes."""
    data = BytesIO()
    if octets > _LARGE:
        data.seek(octets)
        data.write(b"\0")
        data.seek(0)
    return data


def _mixed(email: Email, encoded: Mapping[str, bytes]) -> BodyPart | _Multipart:
    shown = () if email.html is None else email.inline
    attached = email.attachments if shown else email.files
    invitation = file_parts.invitation(attached, encoded)
    texts = _alternative(email, invitation, encoded)
    others = [file_parts.attachment(file, encoded) for file in attached]
    if texts is None:
        return _Multipart(b"mixed", tuple(others))
    return _Multipart(b"mixed", (texts, *others)) if others else texts


def _alternative(
    email: Email, invitation: BodyPart | None, encoded: Mapping[str, bytes]
) -> BodyPart | _Multipart | None:
    """The texts, the one that says most last. An invitation is one of them: readers that know it show nothing else
    (RFC 6047, 2.4)."""
    texts: list[BodyPart | _Multipart] = []
    if email.body is not None:
        texts.append(_text(b"text/plain", *encoding.text(email.body), email.body))
    if email.html is not None:
        texts.append(_related(email.html, email, encoded))
    if invitation is not None:
        texts.append(invitation)
    if len(texts) > 1:
        return _Multipart(b"alternative", tuple(texts))
    return texts[0] if texts else None


def _related(html: bytes, email: Email, encoded: Mapping[str, bytes]) -> BodyPart | _Multipart:
    part = _text(b"text/html", *encoding.html(html), html)
    if not email.inline:
        return part
    images = [file_parts.inline(file, encoded) for file in email.inline]
    return _Multipart(b'related; type="text/html"', (part, *images))


def _text(kind: bytes, transfer: bytes, body: bytes, meant: bytes) -> BodyPart:
    head = b"Content-Type: %b; charset=utf-8\r\nContent-Transfer-Encoding: %b\r\n" % (kind, transfer)
    # The line break that closes the text is the boundary's, where its author wrote none.
    end = b"\r\n" if meant.endswith((b"\n", b"\r")) else b""
    return BodyPart(head, (body,), len(body), body if transfer == b"7bit" else b"", end)


def _written(part: BodyPart | _Multipart, token: bytes, level: int = 0) -> Iterator[bytes]:
    if isinstance(part, BodyPart):
        yield part.head + b"\r\n"
        yield from part.body
        return
    boundary = b"=_%d_%b" % (level, token)
    yield b'Content-Type: multipart/%b;\r\n boundary="%b"\r\n\r\n' % (part.kind, boundary)
    for one in part.parts:
        yield b"--" + boundary + b"\r\n"
        yield from _written(one, token, level + 1)
        if isinstance(one, BodyPart):
            yield one.end
    yield b"--" + boundary + b"--\r\n"


def _token(top: BodyPart | _Multipart, message_id: str) -> bytes:
    """What the boundaries of a mail are told by: the same at each attempt, and nowhere in what it holds.

    Neither base64 nor quoted-printable has `=_` in it, so that only what goes as it is must be searched.
    """
    for number in range(_BOUNDARIES):
        token = sha256(f"{number} {message_id}".encode("utf-8", "surrogatepass")).hexdigest()[:24].encode("ascii")
        if not any(token in part.searched for part in _leaves(top)):
            return token
    raise Unsendable("unbuildable", f"its text holds {_BOUNDARIES} boundaries of its own")


def _leaves(part: BodyPart | _Multipart) -> Iterable[BodyPart]:
    if isinstance(part, BodyPart):
        yield part
        return
    for one in part.parts:
        yield from _leaves(one)
