"""What integration tests share: no connection to a relay is left open behind a test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from . import smtp_client


@pytest.fixture(autouse=True)
def _close_connections() -> Iterator[None]:
    yield
    while smtp_client.opened:
        smtp_client.opened.pop().close()
