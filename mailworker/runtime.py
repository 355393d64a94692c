"""What a process needs to deliver, made once in it: settings, spool, desks. And whether its worker is stopping."""

from __future__ import annotations

import mmap
import os
import secrets
import socket
import threading
from functools import cache

from .deliver import Office
from .desk import Desks
from .settings import Settings, load
from .spool import Spool, connect

# One octet shared by a worker's main process and the children it forks: 1 while the worker is stopping.
_stopping = mmap.mmap(-1, 1)


def stopping() -> bool:
    return _stopping[0] == 1


def say_stopping() -> None:
    _stopping[0] = 1


@cache
def settings() -> Settings:
    """Raises `SettingsError`."""
    return load()


@cache
def worker_name() -> str:
    """Made in the main process before it forks, so that all its children have it.

    Host, process-id name space and process id: another worker of the same machine can see that this one is gone.
    """
    try:
        space = os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        space = 0
    host = socket.gethostname().replace("/", "_")
    return f"{host}:{space}:{os.getpid()}:{secrets.token_hex(3)}"


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


_making_desks = threading.Lock()


@cache
def _desks(process: int) -> Desks:
    return Desks(worker_name(), settings().relay)


def desks() -> Desks:
    with _making_desks:  # two threads that begin at once must not number their desks alike
        return _desks(os.getpid())


@cache
def _office(process: int) -> Office:
    configuration = settings()
    return Office(
        spool=spool(),
        sender=configuration.mail_from,
        limits=configuration.limits,
        policy=configuration.retries,
        hold_in_doubt=configuration.in_doubt == "hold",
        seconds=configuration.batch_seconds,
        stopping=stopping,
    )


def office() -> Office:
    return _office(os.getpid())
