"""What stands behind the header of a frame, read one part after the other; and how octets stand in the header. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import Unsendable


@dataclass(slots=True)
class Parts:
    """`data` from `position` on is what was not read yet."""

    data: bytes
    position: int

    def take(self, size: int) -> bytes:
        """The next part. Raises `Unsendable` where it is not there as a whole."""
        begin, self.position = self.position, self.position + size
        if not begin <= self.position <= len(self.data):
            raise Unsendable("format", "a frame that is cut off")
        return self.data[begin : self.position]


def as_text(octets: bytes) -> str:
    """For the header: what is not UTF-8 comes back as it was."""
    return octets.decode("utf-8", "surrogateescape")


def as_octets(text: str) -> bytes:
    """The octets again."""
    return text.encode("utf-8", "surrogateescape")
