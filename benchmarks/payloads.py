"""The entries that a PHP producer would push."""

from __future__ import annotations

from base64 import b64encode
from functools import cache
from random import Random
from typing import Any, Final

BODY: Final = 700
HTML: Final = 50_000
MEBIBYTE: Final = 1024 * 1024
FILE: Final = 5 * MEBIBYTE
AS_TEXT: Final = FILE * 26 // 19
"""Octets of a text that is as large as a mail with such a file: base64 in lines of 76, and their ends."""
_LINE: Final = "Thank you for your order. It left our house today and will be with you soon.\n"


def token(run: str, number: int) -> str:
    """`run` is hexadecimal, and the same for all mails of a run."""
    return f"bench-{run}-{number}"


def mail(name: str, size: int = BODY) -> dict[str, object]:
    """The arguments of one mail: its token in the subject, a body of `size` octets."""
    body = (_LINE * (size // len(_LINE) + 1))[:size]
    return {
        "to": {f"{name}@example.com": "Someone Else"},
        "subject": f"Your order {name} is on its way",
        "body": body,
    }


def entry(name: str, size: int = BODY) -> bytes:
    """What PHP's serialize() makes of that mail."""
    return _serialize(mail(name, size))


def rich(kind: str, name: str) -> dict[str, Any]:
    """The arguments of a mail as new code sends it: `text`, `html` (both), `file`, `shared` (the same file in each),
    `long` (a text as large as `file`)."""
    usual: dict[str, Any] = mail(name, AS_TEXT if kind == "long" else BODY)
    if kind == "html":
        usual["html"] = html(name)
    if kind == "file":
        usual["attachments"] = [("report.pdf", file(name), "application/pdf")]
    if kind == "shared":
        usual["attachments"] = [("report.pdf", file("", MEBIBYTE), "application/pdf")]
    return usual


def rich_entry(kind: str, name: str) -> bytes:
    """The same for the peers, who take entries."""
    usual = rich(kind, name)
    usual["attachments"] = {name: b64encode(content).decode() for name, content, _ in usual.get("attachments", [])}
    return _serialize({key: value for key, value in usual.items() if value})


def html(name: str) -> str:
    """50 KB as a shop writes it: tables, styles, some letters outside ASCII."""
    row = '<tr style="border-bottom:1px solid #d0d7de"><td>Käse &amp; Brötchen</td><td class="n">%d zu 3,50 €</td></tr>'
    head = f"<html><body><h1>{name}</h1><table>\n"
    rows = "".join([f"{row % number}\n" for number in range(HTML // len(row))])
    return f"{head}{rows}</table></body></html>"


def file(name: str, size: int = FILE) -> bytes:
    """Another one for every name, that cannot be compressed."""
    content = _random(size)
    return name.encode() + content[len(name) :]


@cache
def _random(size: int) -> bytes:
    return Random(size).randbytes(size)


def ticket(name: str, size: int = BODY) -> bytes:
    """For the plain socket, which makes up the mail itself."""
    return f"{name} {size}".encode()


def finished(name: str, size: int = BODY) -> bytes:
    """The mail as it goes to the relay, for those who build none."""
    return finished_head(name) + finished_body(size)


def finished_head(name: str) -> bytes:
    return (
        f"From: The Shop <shop@example.com>\r\nTo: Someone Else <{name}@example.com>\r\n"
        f"Subject: Your order {name} is on its way\r\nDate: Sun, 22 Nov 2026 12:00:00 +0000\r\n"
        f"Message-ID: <{name}@example.com>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
    ).encode()


def finished_body(size: int) -> bytes:
    return str(mail("", size)["body"]).replace("\n", "\r\n").encode() + b"\r\n"


def _serialize(value: object) -> bytes:
    if isinstance(value, dict):
        inner = b"".join(_serialize(key) + _serialize(item) for key, item in value.items())
        return b"a:%d:{%s}" % (len(value), inner)
    octets = str(value).encode()
    return b's:%d:"%s";' % (len(octets), octets)
