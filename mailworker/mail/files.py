"""Fields that hold files: attachments, and images that the HTML shows.

A path is read when the call is made, and only one that the calling program passed itself: an entry of a legacy list and
a message of another program have the octets in them, as base64, and no path of theirs is ever opened.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from ..errors import Unsendable
from . import base64_file, given_file
from .email import Limits
from .encoding import base64_size
from .file import BLOB, File
from .formats.php import Value
from .given_file import EXPECTED
from .parts import Parts
from .text import text_of

AS_VALUES: Final = (
    "expected {name: content}, or a list of {'name': …, 'content': …, 'type': …}, the content in base64: a message or "
    "an entry holds no octets, and a path of theirs is not read"
)

_CID: Final = re.compile(r"(?!.*=\?)[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,100}(?:@[A-Za-z0-9.-]{1,100})?")
_NO_LIST: Final = (str, bytes, os.PathLike, Mapping, set, frozenset)
_HEADERS: Final = 300
"""Octets of a part's headers and its boundary, about."""


@dataclass(frozen=True, slots=True)
class Files:
    """In a call a list of paths, `(name, content)`, `(name, content, type)`; in an entry name => base64, or arrays with
    name, content and type."""

    def from_value(self, name: str, value: Value, limits: Limits) -> tuple[File, ...]:
        return tuple([file for _, file in _of_entry(name, _named(name, value), limits)])

    def from_message(self, name: str, value: Any, limits: Limits) -> tuple[File, ...]:
        return self.from_value(name, base64_file.as_value(value), limits)

    def from_argument(self, name: str, value: Any, limits: Limits) -> tuple[File, ...]:
        if isinstance(value, _NO_LIST) or hasattr(value, "read") or not isinstance(value, Iterable):
            raise TypeError(f"{name}: expected a list, and in it {EXPECTED}; got {type(value).__name__}")
        if isinstance(value, tuple) and len(value) > 1 and isinstance(value[1], bytes):
            raise TypeError(f"{name}: expected a list, and in it {EXPECTED}; got one file: write [(name, content)]")
        return tuple(_within(name, ((f"{name}[{at}]", item) for at, item in enumerate(value)), limits))

    def to_frame(self, content: tuple[File, ...], parts: list[bytes]) -> list[dict[str, Any]]:
        return [_to_frame(file, parts) for file in content]

    def from_frame(self, value: list[dict[str, Any]], parts: Parts) -> tuple[File, ...]:
        return tuple([_from_frame(item, parts) for item in value])

    def size(self, content: tuple[File, ...]) -> int:
        return sum(map(size_of, content))


@dataclass(frozen=True, slots=True)
class Inline(Files):
    """{cid: file}, each as in `Files`. The HTML shows it as `cid:…`."""

    def from_value(self, name: str, value: Value, limits: Limits) -> tuple[File, ...]:
        return tuple([_shown_as(name, cid, file) for cid, file in _of_entry(name, value, limits)])

    def from_argument(self, name: str, value: Any, limits: Limits) -> tuple[File, ...]:
        if not isinstance(value, Mapping):
            raise TypeError(f"{name}: expected {{cid: file}}, each file {EXPECTED}; got {type(value).__name__}")
        cids = [text_of(f"{name}: a cid", cid) for cid in value]
        files = _within(
            name, ((f"{name}[{cid!r:.50}]", item) for cid, item in zip(cids, value.values(), strict=True)), limits
        )
        return tuple([_shown_as(name, cid, file) for cid, file in zip(cids, files, strict=True)])


def size_of(file: File) -> int:
    """Octets of it in the mail: base64, 76 characters a line, and its headers."""
    return base64_size(len(file.content or b"")) + _HEADERS


def _within(name: str, items: Iterable[tuple[str, Any]], limits: Limits) -> Iterator[File]:
    """Each file, as long as all of them may be in one mail."""
    size = 0
    for place, item in items:
        file = given_file.read(place, item, limits.mail)
        size += size_of(file)
        given_file.check_size(name, size, limits.mail)
        yield file


def _named(name: str, value: Value) -> Value:
    """A list has positions and no names: what stands in it bare, as a path that happens to be base64, is no file."""
    if isinstance(value, dict) and list(value) == list(range(len(value))):
        for at, item in enumerate(value.values()):
            if isinstance(item, bytes):
                raise Unsendable("bad_field", f"{name}[{at}]: has no name; {AS_VALUES}")
            if isinstance(item, dict):
                value = {**value, at: {b"name": b"", **item}}
    return value


def _of_entry(name: str, value: Value, limits: Limits) -> Iterator[tuple[str, File]]:
    """Each with its key."""
    if value is not None and not isinstance(value, dict):
        raise Unsendable("bad_field", f"{name}: {AS_VALUES}")
    size = 0
    for key, item in (value or {}).items():
        text = key.decode("utf-8", "replace") if isinstance(key, bytes) else str(key)
        file = base64_file.read(f"{name}[{ascii(text)[1:-1]:.50}]", text, item)
        size += size_of(file)
        given_file.check_size(name, size, limits.mail)
        yield text, file


def _shown_as(name: str, cid: str, file: File) -> File:
    if not _CID.fullmatch(cid):
        raise Unsendable(
            "bad_field", f"{name}: a cid is up to 100 of A-Z, a-z, 0-9 and . _ - + …, as in logo or logo@site"
        )
    return replace(file, cid=cid)


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
