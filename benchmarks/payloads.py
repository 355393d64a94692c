"""The entries that a PHP producer would push."""

from __future__ import annotations

from typing import Final

BODY: Final = 700
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
