"""Fields that hold files: attachments, and images that the HTML shows.

A path is read when the call is made, and only one that the calling program wrote itself: an entry of a legacy list and
a message of another program have the octets in them, as base64, and no path of theirs is ever opened.
"""

from __future__ import annotations

import binascii
import mimetypes
import os
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from hashlib import sha256
from typing import Any, Final

from ..errors import Unsendable
from . import read_file
from .file import BLOB, File
from .media_type import DEFAULT
from .media_type import check as check_type
from .parts import Parts
from .php import Value
from .text import text_of, utf8

Files_ = tuple[File, ...]

_EXPECTED: Final = "a path, (name, content) or (name, content, type)"
_LONGEST_NAME: Final = 255


@dataclass(frozen=True, slots=True)
class Files:
    """In a call a list of paths, `(name, content)`, `(name, content, type)`; in an entry name => base64, or arrays with
    name, content and type."""

    def from_value(self, name: str, value: Value) -> Files_:
        if value is None:
            return ()
        if not isinstance(value, dict):
            raise Unsendable("bad_field", f"{name}: not an array of files")
        return tuple([_of_entry(f"{name}[{_key(key)}]", key, item) for key, item in value.items()])

    def from_argument(self, name: str, value: Any) -> Files_:
        if isinstance(value, str | bytes | Mapping | set | frozenset) or not hasattr(value, "__iter__"):
            raise TypeError(f"{name}: expected a list, of which each is {_EXPECTED}; got {type(value).__name__}")
        return tuple([_of_item(f"{name}[{index}]", item) for index, item in enumerate(value)])

    def to_frame(self, content: Files_, parts: list[bytes]) -> list[dict[str, Any]]:
        return [_to_frame(file, parts) for file in content]

    def from_frame(self, value: list[dict[str, Any]], parts: Parts) -> Files_:
        return tuple([_from_frame(item, parts) for item in value])

    def size(self, content: Files_) -> int:
        return size_of(content)


@dataclass(frozen=True, slots=True)
class Inline(Files):
    """{cid: file}, each as in `Files`. The HTML shows it as `cid:…`."""

    def from_value(self, name: str, value: Value) -> Files_:
        if value is None:
            return ()
        if not isinstance(value, dict):
            raise Unsendable("bad_field", f"{name}: not an array of files")
        return tuple(
            [_shown_as(name, _key(key), _of_entry(f"{name}[{_key(key)}]", key, item)) for key, item in value.items()]
        )

    def from_argument(self, name: str, value: Any) -> Files_:
        if not isinstance(value, Mapping):
            raise TypeError(f"{name}: expected {{cid: {_EXPECTED}}}, got {type(value).__name__}")
        return tuple(
            [
                _shown_as(name, text_of(f"{name}: a cid", cid), _of_item(f"{name}[{cid!r}]", item))
                for cid, item in value.items()
            ]
        )


def size_of(files: Files_) -> int:
    """Octets in the mail: base64 in lines of 76, and each file's headers."""
    return sum(len(file.content or b"") * 26 // 19 + 300 for file in files)


def _shown_as(name: str, cid: str, file: File) -> File:
    return File(file.name, file.type, file.content, file.digest, cid)


def _key(key: Any) -> str:
    return key.decode("utf-8", "replace") if isinstance(key, bytes) else str(key)


def _of_item(place: str, item: Any) -> File:
    if isinstance(item, str | os.PathLike):
        path = os.fspath(item)
        if isinstance(path, bytes):
            path = os.fsdecode(path)
        return _file(place, os.path.basename(path), read_file.read(place, path, 2**30), None)
    if isinstance(item, Message):
        return _file(place, "", item.as_bytes(), "message/rfc822")
    if isinstance(item, tuple | list) and len(item) in (2, 3):
        return _of_tuple(place, *item)
    raise TypeError(f"{place}: expected {_EXPECTED}, got {type(item).__name__}")


def _of_tuple(place: str, name: Any, content: Any, type_: Any = None) -> File:
    if isinstance(content, Message):
        content, type_ = content.as_bytes(), type_ or "message/rfc822"
    if isinstance(content, str):
        content = utf8(f"{place}: content", content)
    if not isinstance(content, bytes | bytearray | memoryview):
        raise TypeError(f"{place}: content: expected bytes, got {type(content).__name__}")
    return _file(place, "" if name is None else text_of(f"{place}: name", name), bytes(content), type_)


def _of_entry(place: str, key: Any, item: Value) -> File:
    if isinstance(item, bytes):
        return _file(place, _key(key), _base64(place, item), None)
    raise Unsendable("bad_field", f"{place}: expected base64")


def _base64(place: str, text: bytes) -> bytes:
    try:
        return b64decode(text.translate(None, b" \t\r\n"), validate=True)
    except binascii.Error:
        raise Unsendable("bad_field", f"{place}: content is not base64") from None


def _file(place: str, name: str, content: bytes, type_: Any) -> File:
    _check_name(place, name)
    if type_ is None:
        type_ = mimetypes.guess_type(name)[0] or DEFAULT
    else:
        type_ = check_type(f"{place}: type", text_of(f"{place}: type", type_))
    return File(name, type_, content, sha256(content).hexdigest() if len(content) > BLOB else "")


def _check_name(place: str, name: str) -> None:
    utf8(f"{place}: name", name)
    if any(mark in name for mark in "/\\") or not all(char.isprintable() or char == " " for char in name):
        raise Unsendable("bad_field", f"{place}: name: holds a slash, a backslash or a control character")
    if len(name) > _LONGEST_NAME:
        raise Unsendable("bad_field", f"{place}: name: longer than {_LONGEST_NAME} characters")


def _to_frame(file: File, parts: list[bytes]) -> dict[str, Any]:
    header: dict[str, Any] = {"name": file.name, "type": file.type}
    if file.cid:
        header["cid"] = file.cid
    if file.content is None or len(file.content) > BLOB:
        return {**header, "digest": file.digest}
    parts.append(file.content)
    return {**header, "size": len(file.content)}


def _from_frame(item: dict[str, Any], parts: Parts) -> File:
    content = parts.take(item["size"]) if "size" in item else None
    return File(item["name"], item["type"], content, item.get("digest", ""), item.get("cid", ""))
