"""Many mails in steps: each script in Redis ends soon, and a person sees how far it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeVar

T = TypeVar("T")

CHUNK: Final = 200
"""Mails that one script takes."""


def chunks(items: Sequence[T], size: int) -> Iterator[list[T]]:
    """In their order; the last one may be shorter."""
    for begin in range(0, len(items), size):
        yield list(items[begin : begin + size])


def in_chunks(items: Sequence[T], act: Callable[[Sequence[T]], int], progress: Callable[[int, int], None]) -> int:
    """The sum of what `act` returns. Calls `progress(done, of)` after each chunk."""
    total = done = 0
    for chunk in chunks(items, CHUNK):
        total += act(chunk)
        done += len(chunk)
        progress(done, len(items))
    return total
