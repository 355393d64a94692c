"""Faults that wait to strike: a file each in one folder, named after the point where it strikes.

Whichever process renames the file first has the fault, so that each strikes exactly once, and leaves its mark.
"""

from __future__ import annotations

import os
import time
from pathlib import Path


class Arms:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def arm(self, point: str, how: str = "") -> None:
        """`how` is what the one that is struck shall do."""
        hidden = self.folder / f".{point}"
        hidden.write_text(how)
        hidden.rename(self.folder / point)

    def take(self, point: str) -> str | None:
        """Called where the fault strikes: what to do, or None where nothing is armed. Costs one look at the disk."""
        path = f"{self.folder}/{point}"
        if not os.path.exists(path):
            return None
        mark = f"{self.folder}/struck.{point}.{os.getpid()}.{time.monotonic_ns()}"
        try:
            os.rename(path, mark)
        except FileNotFoundError:
            return None
        return Path(mark).read_text()

    def disarm(self, point: str) -> bool:
        """False where it has struck already."""
        try:
            (self.folder / point).unlink()
        except FileNotFoundError:
            return False
        return True

    def struck(self, point: str) -> list[int]:
        """The processes that were struck at this point, oldest first."""
        marks = sorted(self.folder.glob(f"struck.{point}.*"), key=lambda mark: int(mark.name.rsplit(".", 1)[1]))
        return [int(mark.name.rsplit(".", 2)[1]) for mark in marks]
