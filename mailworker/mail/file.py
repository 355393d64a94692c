"""A file that goes with a mail: an attachment, or an image that its HTML shows. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

BLOB: Final = 8 * 1024
"""Octets above which a file is kept once for all mails that have it, and not in each record."""


@dataclass(frozen=True, slots=True)
class File:
    """`type` is that of its Content-Type, with its parameters (`text/calendar; method=REQUEST`), `cid` the name under
    which the HTML shows it, empty for an attachment.

    `content` is None where the octets are a blob of the spool that was not read yet: then `digest` says which one.
    """

    name: str
    type: str
    content: bytes | None
    digest: str = ""
    """SHA-256 of the content, 64 hex digits; empty where it is not known, or not needed."""
    cid: str = ""
