"""A real Postfix for the tests: skipped, or failed in CI, where the machine has none or does not let us start one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchmarks import postfix


class Postfix(postfix.Postfix):
    def __init__(self, **options: str) -> None:
        problem = postfix.missing()
        if problem and os.environ.get("CI"):
            pytest.fail(f"{problem}, and CI must have it")
        if problem:
            pytest.skip(problem)
        super().__init__(**options)


class Forwarding(Postfix):
    """Passes on what it takes, but for example.com, to a server on another port of this machine."""

    def __init__(self, port: int, **options: str) -> None:
        super().__init__(**options)
        self._next = port

    def configure(self, folder: Path) -> None:
        super().configure(folder)
        with (folder / "main.cf").open("a") as main, (folder / "master.cf").open("a") as master:
            main.write(f"default_transport = smtp:[127.0.0.1]:{self._next}\n")
            master.write("smtp unix - - n - - smtp\n")
