"""What is in a mail: its text, its HTML, its files. Pure: octets → values. Mail is written by strangers: nothing in it
is an error, and no name that it gives a file leads anywhere.
"""

from __future__ import annotations

import email
import email.policy
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.header import decode_header, make_header
from email.message import Message
from email.utils import collapse_rfc2231_value
from typing import Final

_UNSAFE: Final = re.compile(r'[\x00-\x1f\x7f-\x9f/\\:*?"<>|\u202a-\u202e\u2066-\u2069]+')
_LONGEST_NAME: Final = 100


@dataclass(frozen=True, slots=True)
class Part:
    """A file of a mail. `name` is one that any system takes; `cid` is what the HTML calls it by, or empty."""

    name: str
    type: str
    content: bytes
    cid: str


@dataclass(frozen=True, slots=True)
class Content:
    """Empty where a mail has none."""

    text: str = ""
    html: str = ""
    parts: tuple[Part, ...] = ()

    @property
    def attachments(self) -> tuple[Part, ...]:
        """All files, but for images that the HTML shows."""
        return tuple(part for part in self.parts if not (part.cid and f"cid:{part.cid}" in self.html))


def read(raw: bytes) -> Content:
    """The first text, the first HTML, and everything else as files."""
    texts: dict[str, str] = {}
    parts: list[Part] = []
    for part in _leaves(email.message_from_bytes(raw, policy=email.policy.compat32)):
        kind = part.get_content_type()
        named = _name(part) or part.get_content_disposition() == "attachment"
        if kind in ("text/plain", "text/html") and kind not in texts and not named:
            texts[kind] = _text(part)
        elif kind.startswith("text/") and not texts and not named:
            texts["text/plain"] = _text(part)
        else:
            parts.append(_file(part, len(parts) + 1))
    return Content(texts.get("text/plain", ""), texts.get("text/html", ""), tuple(parts))


def _leaves(message: Message) -> Iterator[Message]:
    """A forwarded mail is one file, and not its parts."""
    waiting = [message]
    while waiting:
        part = waiting.pop()
        if part.get_content_maintype() != "multipart":
            yield part
        else:
            waiting += _children(part)[::-1]


def _children(part: Message) -> list[Message]:
    payload = part.get_payload()
    return [child for child in payload if isinstance(child, Message)] if isinstance(payload, list) else []


def _text(part: Message) -> str:
    octets = _octets(part)
    try:
        return octets.decode(part.get_content_charset("utf-8"), "replace")
    except (LookupError, ValueError):
        return octets.decode("utf-8", "replace")


def _octets(part: Message) -> bytes:
    payload = part.get_payload(decode=True)
    if isinstance(payload, bytes):
        return payload
    return b"".join(child.as_bytes() for child in _children(part))


def _file(part: Message, number: int) -> Part:
    cid = str(part.get("Content-ID", "")).strip().strip("<>")
    return Part(safe_name(_name(part), number), part.get_content_type(), _octets(part), cid)


def _name(part: Message) -> str:
    """As Python's parser reads it; empty where it fails."""
    return _or_empty(lambda: collapse_rfc2231_value(part.get_filename() or ""))


def _or_empty(read: Callable[[], str]) -> str:
    try:
        name = read()
        return str(make_header(decode_header(name))) if "=?" in name else name
    except Exception:  # noqa: BLE001 - mail is hostile, and the parser raises a good dozen of types
        return ""


def safe_name(name: str, number: int = 1) -> str:
    """The last part of it, without what a file's name cannot hold or what would show it as another one."""
    last = re.split(r"[/\\]", name)[-1]
    name = _UNSAFE.sub("_", last.encode("utf-8", "replace").decode("utf-8")).strip(" .")
    stem, dot, ending = name.rpartition(".")
    if len(name) > _LONGEST_NAME:
        name = stem[: _LONGEST_NAME - 10] + dot + ending[:9] if dot else name[:_LONGEST_NAME]
    return name or f"file-{number}"
