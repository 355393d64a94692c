"""A file as a caller gives it: a path, or a name and what is in it."""

from __future__ import annotations

import mimetypes
import os
import re
from collections.abc import Mapping
from email.message import Message
from hashlib import sha256
from typing import Any, Final

from ..errors import Unsendable
from . import media_type, read_file
from .encoding import base64_size
from .file import BLOB, File
from .text import is_lazy, text_of, utf8

EXPECTED: Final = "a path, (name, content) or (name, content, type)"

_LONGEST_NAME: Final = 255
_OF_A_MAIL: Final = ("From", "To", "Subject", "Date", "Message-ID")
_NOT_IN_A_NAME: Final = frozenset("/\\")
_CHARSET: Final = re.compile(r';[ \t]*charset="?([^";\s]+)', re.IGNORECASE)


def read(place: str, item: Any, most: int) -> File:
    """What Django's `attach` takes is taken as well. Raises `TypeError`, `Unsendable`."""
    if isinstance(item, File):  # that was read for another mail of the same call
        return item
    if isinstance(item, str | os.PathLike):
        return _of_path(place, item, most)
    if isinstance(item, Message):
        return _of_message(place, item)
    if isinstance(item, tuple | list) and len(item) in (2, 3):
        return _of_parts(place, *item)
    if all(hasattr(item, name) for name in ("filename", "content", "mimetype")):
        return _of_parts(place, item.filename, item.content, item.mimetype)
    if isinstance(item, Mapping):
        raise TypeError(f"{place}: expected {EXPECTED}, got {type(item).__name__}; write (name, content, type)")
    hint = "; write (name, ….read())" if hasattr(item, "read") else ""
    raise TypeError(f"{place}: expected {EXPECTED}, got {type(item).__name__}{hint}")


def make(place: str, name: str, content: bytes, type_: str | None) -> File:
    """A file whose name and type are as they may be. Raises `Unsendable`."""
    _check_name(f"{place}: name", name)
    written = media_type.check(f"{place}: type", type_) if type_ else _guessed(name)
    if written.startswith("message/"):
        media_type.check_message(place, content)
    return File(name, written, content, sha256(content).hexdigest() if len(content) > BLOB else "")


def check_size(name: str, size: int, most: int) -> None:
    """Raises `Unsendable` where files of `size` octets make a mail too large."""
    if size <= most:
        return
    shown, limit = _mib(size), _mib(most)
    if shown == limit:
        shown, limit = f"{size} octets", f"{most}"
    raise Unsendable("too_large", f"{name}: {shown} as a mail, more than the limit of {limit}")


def _mib(octets: int) -> str:
    return f"{octets / 2**20:.1f}".removesuffix(".0") + " MiB" if octets >= 2**20 else f"{octets} octets"


def _of_path(place: str, path: str | os.PathLike[Any], most: int) -> File:
    text = os.fsdecode(path)
    content = read_file.read(place, text, lambda size: check_size(place, base64_size(size), most))
    return make(place, os.path.basename(text), content, None)


def _of_message(place: str, message: Message) -> File:
    """A whole one goes as a mail. What has no header of one is a part of it, as `MIMEImage`: that goes as a file."""
    if any(name in message for name in _OF_A_MAIL):
        return make(place, "", _octets(place, message), "message/rfc822")
    content = message.get_payload(decode=True)
    if not isinstance(content, bytes):
        raise TypeError(f"{place}: expected {EXPECTED}, got a multipart; pass what is in it")
    kept = [f"; {name}={value}" for name in ("charset", "method") if isinstance(value := message.get_param(name), str)]
    return make(place, message.get_filename() or "", content, message.get_content_type() + "".join(kept))


def _of_parts(place: str, name: Any, content: Any, type_: Any = None) -> File:
    written = None if type_ is None else text_of(f"{place}: type", type_)
    if isinstance(content, Message):
        return make(place, _name(place, name), _octets(place, content), written or "message/rfc822")
    return make(place, _name(place, name), _content(f"{place}: content", content, written), written)


def _name(place: str, name: Any) -> str:
    return "" if name is None else text_of(f"{place}: name", name)


def _content(place: str, content: Any, type_: str | None) -> bytes:
    if type(content) is bytes:
        return content
    if isinstance(content, str) or is_lazy(content):
        return _encoded(place, text_of(place, content), _CHARSET.search(type_ or ""))
    if isinstance(content, bytes | bytearray | memoryview):
        return bytes(memoryview(content))  # and no subclass, which may say another length than it has
    hint = "; write …read()" if hasattr(content, "read") else ""
    raise TypeError(f"{place}: expected bytes or str, got {type(content).__name__}{hint}")


def _encoded(place: str, text: str, charset: re.Match[str] | None) -> bytes:
    """In the charset that the type says, or a reader would see another text."""
    octets = utf8(place, text)
    if charset is None:
        return octets
    try:
        return text.encode(charset[1])
    except LookupError:
        raise Unsendable("bad_field", f"{place}: its type says a charset that is not known; pass bytes") from None
    except UnicodeError:
        raise Unsendable(
            "bad_field", f"{place}: is text that its type's charset has not; write charset=utf-8"
        ) from None


def _octets(place: str, message: Message) -> bytes:
    try:
        return message.as_bytes()
    except Exception as error:  # noqa: BLE001 - what it raises is as manifold as messages are
        raise Unsendable("bad_field", f"{place}: a message that cannot be written: {type(error).__name__}") from None


def _guessed(name: str) -> str:
    kind, encoding = mimetypes.guess_type(name)
    return kind if kind and not encoding and not kind.startswith(("message/", "multipart/")) else media_type.DEFAULT


def _check_name(place: str, name: str) -> None:
    utf8(place, name)
    if not _NOT_IN_A_NAME.isdisjoint(name):
        raise Unsendable("bad_field", f"{place}: holds a slash or a backslash; write the name alone")
    if name and not name.strip(". "):
        raise Unsendable("bad_field", f"{place}: dots and blanks alone are no name of a file")
    if any(char < " " or char == "\x7f" or "\x80" <= char <= "\x9f" or char in "\u2028\u2029" for char in name):
        raise Unsendable("bad_field", f"{place}: holds a line break or another control character")
    if len(name.encode("utf-8")) > _LONGEST_NAME:
        raise Unsendable("bad_field", f"{place}: longer than {_LONGEST_NAME} octets")
