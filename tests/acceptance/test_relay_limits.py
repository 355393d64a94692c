"""A real worker and a real Postfix that takes fewer connections than the worker has children."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.acceptance.test_worker import empty, push, queries
from tests.conftest import RedisServer, Workers, settings_for, until
from tests.integration.postfix import Postfix


@pytest.mark.parametrize(("children", "most"), [(5, 2), (5, 1)])
def test_a_postfix_that_limits_connections_gets_all_mail_soon(
    tmp_path: Path, redis_server: RedisServer, children: int, most: int
) -> None:
    """`smtpd_client_connection_count_limit`: the further ones are refused with 421."""
    limit = {"smtpd_client_connection_count_limit": str(most), "smtpd_client_event_limit_exceptions": ""}
    with Postfix(**limit) as server:
        workers = Workers(tmp_path, settings_for(redis_server.url, f"smtp://127.0.0.1:{server.port}"))
        try:
            workers.start("-c", str(children))
            begun = time.monotonic()
            push(redis_server, *[f"m{number}" for number in range(500)])
            until(lambda: empty(redis_server), 40, what="all mail")
            took = time.monotonic() - begun
        finally:
            workers.stop()
    status = queries(redis_server).status()
    assert status["totals"]["sent"] == 500
    assert status["totals"]["failed"] == status["totals"]["deferred"] == 0
    assert status["relays"]["default"]["connections"] == most
    assert not status["relays"]["default"]["open"]
    assert took < 20  # it was a minute for 58 of them
