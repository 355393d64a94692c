"""The lock is given back by who has it. What else is in a message to the bridge releases nobody's mails."""

from __future__ import annotations

from typing import Any, cast

import pytest

from mailworker.delivery import bridge
from mailworker.spool import Spool


class Released:
    def __init__(self) -> None:
        self.names: list[str] = []

    def release(self, name: str, died: bool) -> int:
        assert not died
        self.names.append(name)
        return 0


@pytest.mark.parametrize(
    ("token", "released"),
    [
        ("0123456789abcdef", True),
        ("host:4026531836:7:a1b2c3/8.0 0123456789abcdef", True),  # of a child that rang
        ("host:4026531836:7:a1b2c3/8.0", False),  # an owner, who may have mails in hand
        ("host:4026531836:7:a1b2c3", False),
        ("0123456789abcdef\n", False),
        ("", False),
        (None, False),
        (7, False),
        (["0123456789abcdef"], False),
    ],
)
def test_only_a_ring_s_own_token_is_given_back(token: Any, released: bool) -> None:
    spool = Released()
    bridge.free_lock(cast(Spool, spool), token)
    assert spool.names == ([token] if released else [])
