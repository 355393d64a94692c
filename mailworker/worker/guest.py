"""Celery's app as a guest: a program that imports `send_email` has a Celery, a kombu and an environment of its own.

Celery shares by default, within a process: the current app, the pools of connections and their limit, the task that is
running, the variables CELERY_BROKER_URL and CELERY_RESULT_BACKEND. Nothing of that is ours to take or to change.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from celery import Celery
from celery._state import get_current_worker_task
from celery.app.amqp import AMQP
from kombu.pools import ProducerPool
from kombu.utils.objects import cached_property

from .transport import Connection


class GuestAMQP(AMQP):  # type: ignore[misc]  # celery has no types
    """Producers and connections that are this app's alone."""

    Connection = Connection
    _producer_pool: ProducerPool | None = None

    @property
    def producer_pool(self) -> ProducerPool:
        """Beside kombu's own pools: those are the process's, and a host with the same broker would share them."""
        connections = self.app.pool
        if self._producer_pool is None or self._producer_pool.connections is not connections:
            self._producer_pool = ProducerPool(connections, limit=connections.limit)
        return self._producer_pool


class Guest(Celery):  # type: ignore[misc]  # celery has no types
    """Results are in the spool: `backend_cls` keeps CELERY_RESULT_BACKEND, which is the host's, from giving us one."""

    backend_cls = "disabled"
    amqp_cls = GuestAMQP
    _pools: dict[int, Any]
    made_of: object = None
    """The settings that its own are made of."""

    def __init__(self, name: str, configure: Callable[[Guest], None], **options: Any) -> None:
        """`configure` puts the site's settings on top, once, when a worker or a command starts as this app's."""
        # No fix-up: Celery's for Django would make this app the default one. No loader from the environment.
        super().__init__(name, set_as_current=False, fixups=[], loader="celery.loaders.app:AppLoader", **options)
        self._configure: Callable[[Guest], None] | None = configure
        self._pools = {}

    def configure(self) -> None:
        configure, self._configure = self._configure, None
        if configure is not None:
            configure(self)

    @cached_property
    def Worker(self) -> Any:
        self.configure()
        return self.subclass_with_self("celery.apps.worker:Worker")

    @property
    def pool(self) -> Any:
        """One a process, whoever forked it. The parent's is kept: to close it here would close the parent's sockets."""
        process = os.getpid()
        if process not in self._pools:
            self._pools[process] = self.connection_for_write().Pool(limit=self.conf.broker_pool_limit)
        return self._pools[process]

    def forget_connections(self) -> None:
        """To a broker that is another one by now."""
        self._pools.clear()

    @property
    def current_worker_task(self) -> Any:
        """Not a task of the host's: a doorbell is no child of it, in its results, its priority or its trail."""
        task = get_current_worker_task()
        return task if task is not None and task.app is self else None

    # `conf.broker_url` is CELERY_BROKER_URL where there is one, and that is the host's.

    def connection_for_read(self, url: Any = None, **options: Any) -> Any:
        return self._connection(url or self.conf["broker_read_url"] or self.conf["broker_url"], **options)

    def connection_for_write(self, url: Any = None, **options: Any) -> Any:
        return self._connection(url or self.conf["broker_write_url"] or self.conf["broker_url"], **options)

    def connection(self, hostname: Any = None, **options: Any) -> Any:
        return self.connection_for_write(hostname, **options)

    broker_connection = connection
