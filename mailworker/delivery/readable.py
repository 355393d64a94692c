"""A mail as lines for a person: who it is from and for, what it says, which files go with it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..mail.address import Mailbox
from ..mail.email import Email, RawMail
from ..mail.file import File

SHOWN = 4000
"""Octets of a text, or of a finished message."""

Line = tuple[str, str]
"""What it is, and what it says; of a text each line but the first has no name."""


def lines(mail: Email | RawMail, blobs: Mapping[str, bytes]) -> Iterator[Line]:
    """`blobs` are the contents of its large files that were found."""
    if isinstance(mail, RawMail):
        yield from _of_raw(mail)
    else:
        yield from _of_email(mail, blobs)


def _of_raw(mail: RawMail) -> Iterator[Line]:
    yield "MAIL FROM", f"<{mail.return_path}>"
    for address in mail.recipients:
        yield "RCPT TO", f"<{address}>"
    yield from _text("message", mail.message)


def _of_email(email: Email, blobs: Mapping[str, bytes]) -> Iterator[Line]:
    authors = [] if email.sender is None else [email.sender]
    for name, mailboxes in (
        ("sender", authors), ("to", email.to), ("cc", email.cc), ("bcc", email.bcc), ("reply_to", email.reply_to),
    ):  # fmt: skip
        for mailbox in mailboxes:
            yield name, _mailbox(mailbox)
    if email.return_path is not None:
        yield "return_path", f"<{email.return_path}>"
    yield "subject", _words(email.subject)
    for header, value in email.headers:
        yield "header", f"{header}: {_words(value)}"
    for url in email.list_unsubscribe:
        yield "unsubscribe", url
    if email.body is not None:
        yield from _text("body", email.body)
    if email.html is not None:
        yield from _text("html", email.html)
    for file in email.files:
        yield "inline" if file.cid else "attachment", _file(file, blobs)


def _file(file: File, blobs: Mapping[str, bytes]) -> str:
    content = file.content if file.content is not None else blobs.get(file.digest)
    size = "gone from Redis" if content is None else f"{len(content)} octets"
    return f"{file.name}  {file.type}  {size}" + (f"  cid:{file.cid}" if file.cid else "")


def _mailbox(mailbox: Mailbox) -> str:
    return f"{_words(mailbox.name)} <{mailbox.address}>" if mailbox.name else mailbox.address


def _text(name: str, octets: bytes) -> Iterator[Line]:
    for line in octets[:SHOWN].splitlines() or [b""]:
        yield name, _words(line)
        name = ""
    if len(octets) > SHOWN:
        yield "", f"… {len(octets)} octets in all"


def _words(octets: bytes) -> str:
    return octets.decode("utf-8", "backslashreplace")
