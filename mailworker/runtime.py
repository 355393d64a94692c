"""What a process needs to deliver, made once in it: settings, spool, slots. And whether its worker is stopping."""

from __future__ import annotations

import mmap
import os
import socket
import threading
from functools import cache

from .delivery.deliver import Delivery, Office
from .delivery.slots import Slots
from .settings import Settings, load
from .spool import Spool, connect, owner

# One octet shared by a worker's main process and the children it forks: 1 while the worker is stopping, 2 when it waits
# for nobody any more.
_stopping = mmap.mmap(-1, 1)
_leaving: set[int] = set()


def stopping() -> bool:
    """No mail is begun any more: the worker stops, or this process was told to end."""
    return _stopping[0] > 0 or os.getpid() in _leaving


def say_stopping() -> None:
    _stopping[0] = max(_stopping[0], 1)


def end_patience() -> None:
    """What is under way is not waited for any more: a cold stop whose time is over."""
    _stopping[0] = 2


def out_of_patience() -> bool:
    return _stopping[0] == 2


def leave() -> None:
    """This process alone ends, as soon as what it has under way is answered."""
    _leaving.add(os.getpid())


@cache
def settings() -> Settings:
    """Raises `SettingsError`."""
    return load()


@cache
def worker_name() -> str:
    """Made in the main process before it forks, so that all its children have it; see `owner`."""
    return owner.name_worker(socket.gethostname())


def make_spool(configuration: Settings) -> Spool:
    return Spool(
        connect(configuration.redis_url.get_secret_value()),
        configuration.legacy_queues,
        prefix=configuration.spool_prefix,
        batch=configuration.batch,
        in_doubt=configuration.in_doubt,
        largest=configuration.max_mail_size,
    )


@cache
def _spool(process: int) -> Spool:
    return make_spool(settings())


def spool() -> Spool:
    """This process's spool: a connection is never shared across a fork."""
    return _spool(os.getpid())


_making_slots = threading.Lock()


_slots: dict[int, Slots] = {}
"""By process: a child has none of its parent's connections."""


def slots() -> Slots:
    made = _slots.get(os.getpid())
    if made is not None:
        return made
    with _making_slots:  # two threads that begin at once must not number their slots alike
        return _slots.setdefault(os.getpid(), Slots(worker_name(), settings().relay))


def at_work() -> bool:
    """Does this process have mail in hand? Takes no lock: a signal's handler asks."""
    return bool(seated())


def seated() -> frozenset[str]:
    """The owners whose slots in this process are taken."""
    made = _slots.get(os.getpid())
    return frozenset(made.taken) if made else frozenset()


@cache
def _delivery(process: int) -> Delivery:
    configuration = settings()
    office = Office(
        spool=spool(),
        sender=configuration.mail_from,
        limits=configuration.limits,
        policy=configuration.retries,
        hold_in_doubt=configuration.in_doubt == "hold",
        seconds=configuration.batch_seconds,
        stopping=stopping,
        hurried=out_of_patience,
    )
    return Delivery(office)


def delivery() -> Delivery:
    """Delivers with this process's spool."""
    return _delivery(os.getpid())
