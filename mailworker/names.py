"""What of Celery is shared by name: two sites in one Redis, or on one RabbitMQ, must not meet in any of it. Pure."""

from __future__ import annotations

from typing import Any, Final

from kombu import Queue

OWN: Final = "mailworker:"
"""The prefix with which the names are as Celery has them, and our queues as they are called in `celeryconfig.py`."""

SITE: Final = "mailworker_site"
"""The header of a doorbell that names its spool's prefix, where that is another one."""


def names(prefix: str) -> dict[str, Any]:
    """Celery's settings that differ with the spool's prefix: queues and exchanges, control and events."""
    before = "" if prefix == OWN else prefix
    doorbells, bridge = f"{before}mailworker", f"{before}mailworker.bridge"
    return {
        "task_default_queue": doorbells,
        "task_queues": [Queue(doorbells), Queue(bridge, routing_key=bridge)],
        "task_routes": {"mailworker.bridge": {"queue": bridge}},
        "control_exchange": f"{before}celery",
        "event_exchange": f"{before}celeryev",
        "event_queue_prefix": f"{before}celeryev",
    }


def redis_keys(prefix: str) -> dict[str, str]:
    """The same for the keys of kombu's Redis transport, as options of it. The names of exchanges are in its others."""
    before = "" if prefix == OWN else prefix
    return {
        "unacked_key": f"{before}unacked",
        "unacked_index_key": f"{before}unacked_index",
        "unacked_mutex_key": f"{before}unacked_mutex",
        "keyprefix_queue": f"{before}_kombu.binding.%s",
        "keyprefix_binding_deadlines": f"{before}_kombu.binding_deadlines",
        "keyprefix_binding_permanent": f"{before}_kombu.binding_permanent.%s",
    }
