"""No two spools, and no spool and a plain Celery, share a name in a broker."""

from __future__ import annotations

from typing import Any

import pytest
from celery import Celery
from kombu.transport.redis import Channel

from mailworker.worker.names import OWN, names, redis_keys

PREFIXES = (OWN, "mailworker", "mailworker.", "mailworker:mailworker:", "shop:", "shop", "shop.", "a:b:", "a:")


def shared(prefix: str) -> set[str]:
    conf = names(prefix)
    queues: list[Any] = conf["task_queues"]
    exchanges = [f"{conf['control_exchange']}.pidbox", conf["event_exchange"], conf["event_queue_prefix"]]
    return {*[queue.name for queue in queues], *exchanges, *redis_keys(prefix).values()}


@pytest.mark.parametrize("one", PREFIXES)
def test_two_prefixes_have_no_name_in_common(one: str) -> None:
    for other in PREFIXES:
        assert one == other or not shared(one) & shared(other)


@pytest.mark.parametrize("prefix", PREFIXES)
def test_no_name_is_one_of_a_plain_celery(prefix: str) -> None:
    conf = Celery(set_as_current=False).conf
    plain = {"celery", "celery.pidbox", conf.event_exchange, conf.event_queue_prefix, conf.control_exchange}
    plain |= {str(getattr(Channel, key)) for key in redis_keys(prefix)}
    assert not shared(prefix) & plain


def test_every_queue_is_routed_to_and_every_key_is_an_option_that_kombu_has() -> None:
    conf = names("shop:")
    assert [queue.name for queue in conf["task_queues"]] == ["shop:mailworker", "shop:mailworker.bridge"]
    assert conf["task_routes"] == {"mailworker.bridge": {"queue": "shop:mailworker.bridge"}}
    assert [queue.name for queue in names(OWN)["task_queues"]] == ["mailworker", "mailworker.bridge"]
    assert all(hasattr(Channel, key) for key in redis_keys("shop:"))
