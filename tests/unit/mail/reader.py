"""A finished mail as a receiver reads it: with Python's parser, after the checks that hold for every mail."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default

from mailworker.envelope import Envelope


def read(envelope: Envelope) -> EmailMessage:
    data = envelope.data
    check_lines(data)
    head = data.partition(b"\r\n\r\n")[0]
    assert data.isascii() or envelope.smtputf8
    assert data[len(head) :].isascii()
    message = message_from_bytes(data, policy=default)
    assert isinstance(message, EmailMessage)
    for part in _parts(message):
        assert not part.defects
        assert {name.lower() for name in part} <= _PART or part is message
        for value in part.values():
            assert not {*"\r\n"} & {*str(value)}
    return message


_PART = {"content-type", "content-transfer-encoding", "content-disposition", "content-id"}


def _parts(message: EmailMessage) -> Iterator[EmailMessage]:
    """All, but for what is within a mail that is a file of this one: that is its author's."""
    yield message
    if message.is_multipart() and message.get_content_maintype() != "message":
        for part in message.iter_parts():
            yield from _parts(part)


def check_lines(data: bytes) -> None:
    """Each ends in CRLF and fits; none of the head is blank, nor holds a control character."""
    assert data.endswith(b"\r\n")
    for line in data.split(b"\r\n"):
        assert not {*b"\r\n\0"} & {*line}
        assert len(line) <= 998
    head = data.partition(b"\r\n\r\n")[0]
    assert all(line.strip() for line in head.split(b"\r\n"))
    assert not re.search(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", head)


@dataclass(frozen=True)
class Read:
    """A file as it arrived."""

    name: str
    type: str
    content: bytes
    cid: str
    disposition: str


def files(message: EmailMessage) -> list[Read]:
    return [_file(part) for part in _parts(message) if part.get_content_disposition()]


def _file(part: EmailMessage) -> Read:
    content = part.get_payload(decode=True)
    if part.get_content_maintype() == "message":
        content = part.get_payload(0).as_bytes()
    cid = str(part.get("Content-ID", "<>"))[1:-1]
    assert isinstance(content, bytes)
    name = part["Content-Disposition"].params.get("filename", "")  # `get_filename` strips it
    return Read(name, part.get_content_type(), content, cid, str(part.get_content_disposition()))


def texts(message: EmailMessage) -> dict[str, bytes]:
    """What is shown, by its type."""
    shown = {}
    for part in _parts(message):
        if part.get_content_maintype() == "text" and not part.get_content_disposition():
            payload = part.get_payload(decode=True)
            assert isinstance(payload, bytes)
            assert part.get_content_type() not in shown
            shown[part.get_content_type()] = payload
    return shown


def shape(message: EmailMessage) -> str:
    """`mixed(alternative(text/plain, text/html), application/pdf)`."""
    if message.get_content_maintype() != "multipart":
        return message.get_content_type()
    return f"{message.get_content_subtype()}({', '.join(shape(part) for part in message.iter_parts())})"


def heads(data: bytes) -> Iterator[bytes]:
    """Of the mail and of each of its parts, as a reader of lines would cut them out."""
    boundaries = re.findall(rb'boundary="([^"]+)"', data)
    for piece in (
        re.split(rb"--(?:" + b"|".join(map(re.escape, boundaries)) + rb")(?:--)?\r\n", data) if boundaries else [data]
    ):
        yield piece.partition(b"\r\n\r\n")[0]
