"""A part of a mail with no parts of its own. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BodyPart:
    """`body` is in its transfer encoding, in slices that may be read once; its last line is closed."""

    head: bytes
    """Its `Content-…` lines."""
    body: Iterable[bytes]
    size: int
    """Octets of the body, about."""
    searched: bytes = b""
    """What a boundary must not stand in: the body, where that goes as it is."""
    end: bytes = b""
    """What stands between it and the boundary, to which the line break before it belongs (RFC 2046, 5.1.1): another
    one, where the last of the body is the body's."""
