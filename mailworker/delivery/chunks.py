"""Many mails in steps that Redis bears: each script ends soon, and a person sees how far it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

T = TypeVar("T")

CHUNK: Final = 200
"""Mails that one script takes."""


def in_chunks(items: Sequence[T], act: Callable[[Sequence[T]], int], progress: Callable[[int, int], None]) -> int:
    """The sum of what `act` returns. Calls `progress(done, of)` after each chunk."""
    total = 0
    for begin in range(0, len(items), CHUNK):
        total += act(items[begin : begin + CHUNK])
        progress(min(begin + CHUNK, len(items)), len(items))
    return total
