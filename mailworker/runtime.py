"""What a process needs to deliver, made once in it: settings, spool, slots."""

from __future__ import annotations

import math
import os
import socket
import threading
from functools import cache

from . import host_settings, stopping
from .delivery.batch_limits import BatchLimits
from .delivery.deliver import Delivery
from .delivery.files import Files
from .delivery.log_lines import AttemptLog, log_abandoned
from .delivery.outbox import OutboxSpool, wanted
from .delivery.slots import Slots
from .errors import SettingsError
from .settings import Settings, load
from .spool import Constants, Queries, Spool, connect, owner


@cache
def _settings(of_a_host: bool) -> Settings:
    host_settings.when_changed(forget)
    return load()


def settings() -> Settings:
    """Read once, and once more when a host has its own, which it may have after it has imported us. Raises
    `SettingsError`."""
    return _settings(host_settings.are_there())


def forget() -> None:
    """A host's tests changed the settings: what was made of the old ones is made anew when it is next needed."""
    for made in (_settings, _spool, _delivery):
        made.cache_clear()


@cache
def worker_name() -> str:
    """Made in the main process before it forks, so that all its children have it; see `owner`."""
    return owner.name_worker(socket.gethostname())


def make_spool(configuration: Settings) -> Spool:
    """A spool with a connection of its own, for the main process and the commands. See `spool` for a child's.

    Raises `SettingsError` where mails are kept in memory.
    """
    check_that_mail_goes_somewhere(configuration)
    return Spool(
        connect(configuration.redis_url.get_secret_value()),
        configuration.legacy_queues,
        configuration.spool_prefix,
        Constants(
            relays=_names_of_relays(configuration),
            batch=configuration.batch,
            in_doubt=configuration.in_doubt,
            largest=configuration.max_mail_size,
            idempotency_seconds=math.ceil(configuration.idempotency_window),
        ),
        log_abandoned,
    )


def make_queries(configuration: Settings) -> Queries:
    """The same spool, for who only reads. Raises `SettingsError` where mails are kept in memory."""
    check_that_mail_goes_somewhere(configuration)
    return Queries(
        connect(configuration.redis_url.get_secret_value()),
        configuration.legacy_queues,
        configuration.spool_prefix,
        _names_of_relays(configuration),
    )


def check_that_mail_goes_somewhere(configuration: Settings | None = None) -> None:
    """Raises `SettingsError` where mails are kept in memory: there is no work for a worker, and nothing to show."""
    if (configuration or settings()).in_memory:
        raise SettingsError(
            "MAILWORKER_SMTP_URL is memory://: each process keeps its mails to itself, for tests, and nothing is in "
            "Redis or is sent; set it to the relay's URL"
        )


def _names_of_relays(configuration: Settings) -> tuple[str, ...]:
    return tuple(relay.name for relay in configuration.relays)


@cache
def _spool(process: int, of_a_host: bool) -> Spool:
    return make_spool(settings())


def spool() -> Spool:
    """This process's spool: a connection is never shared across a fork."""
    return _spool(os.getpid(), host_settings.are_there())


def keeps(eager: bool = False) -> bool:
    """Are mails kept in this process, and go nowhere? `eager`: Celery is told to run tasks where they are called."""
    return wanted() or settings().in_memory or (eager and settings().eager == "keep")


def intake(eager: bool = False) -> Spool | OutboxSpool:
    """What takes the mails of calls: the spool, or the outbox of a test."""
    return OutboxSpool(settings().author, settings().limits) if keeps(eager) else spool()


_making_slots = threading.Lock()


_slots: dict[int, Slots] = {}
"""By process: a child has none of its parent's connections."""


def slots() -> Slots:
    """This process's slots: as many mails as it has of them are under way at once."""
    made = _slots.get(os.getpid())
    if made is not None:
        return made
    with _making_slots:  # two threads that begin at once must not number their slots alike
        return _slots.setdefault(os.getpid(), Slots(worker_name(), settings().relays))


def at_work() -> bool:
    """Does this process have mail in hand? Takes no lock: a signal's handler asks."""
    return bool(owners_at_work())


def owners_at_work() -> frozenset[str]:
    """The owners whose slots in this process are taken."""
    made = _slots.get(os.getpid())
    return frozenset(made.taken) if made else frozenset()


@cache
def _delivery(process: int) -> Delivery:
    configuration = settings()
    return Delivery(
        files=Files(spool(), configuration.limits.mail),
        spool=spool(),
        author=configuration.author,
        limits=configuration.limits,
        policy=configuration.retries,
        batch_limits=BatchLimits(configuration.batch_seconds, stopping.begun, stopping.hurried),
        observers=(AttemptLog(spool().part_of),),
    )


def delivery() -> Delivery:
    """Delivers with this process's spool."""
    return _delivery(os.getpid())
