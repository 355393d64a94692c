"""Spools of a site with one relay, as its settings make them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import redis

from mailworker.spool import Abandoned, Constants, Queries, Spool

PREFIX, RELAY = "mailworker:", "default"


def spool_of(
    client: redis.Redis, queues: Sequence[str], abandoned: Callable[[Abandoned], None] = lambda _: None,
    relays: Sequence[str] = (RELAY,), **constants: Any,
) -> Spool:  # fmt: skip
    return Spool(client, queues, PREFIX, Constants(tuple(relays), **constants), abandoned)


def queries_of(client: redis.Redis, queues: Sequence[str], relays: Sequence[str] = (RELAY,)) -> Queries:
    return Queries(client, queues, PREFIX, relays)
