"""A real Postfix for the tests: skipped, or failed in CI, where the machine has none or does not let us start one."""

from __future__ import annotations

import os

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
