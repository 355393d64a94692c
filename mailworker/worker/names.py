"""Every name that Celery shares: of tasks, queues, exchanges and keys. Two sites in one Redis or on one RabbitMQ, or a
site and another program's own Celery, must not meet in any of it. Pure.

Celery's own names would do harm beside another Celery: its `control shutdown` would end our workers, and ours would
hand out its unacknowledged messages by our visibility time-out.
"""

from __future__ import annotations

from typing import Any, Final

from kombu import Queue

SEND_EMAIL: Final = "mailworker.send_email"
DELIVER: Final = "mailworker.deliver"
BRIDGE: Final = "mailworker.bridge"
"""The three tasks. Other programs send the first by its name, so they stay as they are."""

MAP: Final = "celery.map"
STARMAP: Final = "celery.starmap"
CHUNKS: Final = "celery.chunks"
"""Celery's own that carry the arguments of several calls; see `carriers`."""

PRIVATE_REQUEST: Final = "mailworker.worker.privacy:PrivateRequest"
"""What a worker makes of a message to one of our tasks. By its name: no producer needs to load it."""

OWN: Final = "mailworker:"
"""The prefix with which the queues are `mailworker` and `mailworker.bridge`, without it before them."""

SITE: Final = "mailworker_site"
"""The header of a doorbell that names its spool's prefix, where that is another one."""


def names(prefix: str) -> dict[str, Any]:
    """Celery's settings that differ with the spool's prefix: queues and exchanges, control and events."""
    before = "" if prefix == OWN else prefix
    doorbells, bridge = f"{before}mailworker", f"{before}mailworker.bridge"
    return {
        "task_default_queue": doorbells,
        "task_queues": [Queue(doorbells), Queue(bridge, routing_key=bridge)],
        "task_routes": {BRIDGE: {"queue": bridge}},
        "control_exchange": f"{prefix}celery",
        "event_exchange": f"{prefix}celeryev",
        "event_queue_prefix": f"{prefix}celeryev",
    }


def redis_keys(prefix: str) -> dict[str, str]:
    """The same for the keys of kombu's Redis transport, as options of it. The others have an exchange's name."""
    return {
        "unacked_key": f"{prefix}unacked",
        "unacked_index_key": f"{prefix}unacked_index",
        "unacked_mutex_key": f"{prefix}unacked_mutex",
        "keyprefix_queue": f"{prefix}_kombu.binding.%s",
        "keyprefix_binding_deadlines": f"{prefix}_kombu.binding_deadlines",
        "keyprefix_binding_permanent": f"{prefix}_kombu.binding_permanent.%s",
    }
