"""The Celery app: its settings, its signals, its boot-step. Celery stays at this rim."""

from __future__ import annotations

import ctypes
import gc
import importlib.util
import logging
import ssl
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import click
from celery import Celery, signals

from . import lost, privacy, runtime
from .errors import SettingsError
from .watcher import Watcher

REQUIRED = {
    "task_acks_late": True,
    "task_acks_on_failure_or_timeout": True,
    "task_reject_on_worker_lost": False,
    "accept_content": ["json"],
    "task_serializer": "json",
}
"""What the promises rest on; a site's own celeryconfig.py must not change these."""

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h


def create_app() -> Celery:
    """Raises `SettingsError`; on the command line that ends the command with its one line."""
    try:
        app = Celery("mailworker", include=["mailworker.tasks"], amqp="mailworker.privacy:PrivateAMQP")
        app.conf.update(broker_url=runtime.settings().celery_broker_url)
        for path in _configurations():
            app.conf.update(_values(path))
        if behind := runtime.settings().celery_sentinels:
            app.conf.broker_transport_options = app.conf.broker_transport_options | {"master_name": behind.master}
            app.conf.broker_use_ssl = {"ssl_cert_reqs": ssl.CERT_REQUIRED} if behind.tls else False
        _check(app)
    except SettingsError as error:
        if click.get_current_context(silent=True) is None:
            raise
        sys.exit(f"mailworker: {error}")
    app.steps["worker"].add(Watcher)
    logging.getLogger(privacy.Discretion.LOGGER).addFilter(privacy.Discretion())
    if "flower.command" in sys.modules:  # on Celery's command line, which loads it
        from . import flower  # noqa: PLC0415 - nobody else needs it

        flower.prepare()
    return app


def _configurations() -> list[Path]:
    """The packaged file, then the site's own in the current folder, if it is another."""
    packaged = Path(__file__).resolve().parent.parent / "celeryconfig.py"
    own = Path.cwd() / "celeryconfig.py"
    return [packaged, *([own] if own.is_file() and own.resolve() != packaged else [])]


def _values(path: Path) -> dict[str, Any]:
    spec = importlib.util.spec_from_file_location("celeryconfig", path)
    if spec is None or spec.loader is None:
        raise SettingsError(f"{path.name}: cannot be loaded")
    module = ModuleType("celeryconfig")
    spec.loader.exec_module(module)
    return {key: value for key, value in vars(module).items() if key.islower() and not key.startswith("_")}


def _check(app: Celery) -> None:
    for key, value in REQUIRED.items():
        if app.conf[key] != value:
            raise SettingsError(f"celeryconfig.py: {key} must stay {value!r}")


@signals.task_failure.connect
def _child_lost(sender: Any, task_id: str, exception: BaseException, args: Any, kwargs: Any, **_: Any) -> None:
    lost.wake(sender.name, task_id, args, kwargs or {}, exception)


@signals.worker_init.connect
def _keep_freed_memory(**_: Any) -> None:
    """The children, forked from here, inherit it. glibc gives memory back to the kernel at once and takes it again for
    the next mail, page by page: of a mail of 1 MiB that was a third of the time. So 16 MiB are kept, at most."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # another C library has no such thing
        mallopt(_M_TRIM_THRESHOLD, 16 * 1024 * 1024)
        mallopt(_M_MMAP_THRESHOLD, 4 * 1024 * 1024)


@signals.worker_process_init.connect
def _spare_the_collector(**_: Any) -> None:
    """What was loaded before the fork lives as long as the child: the garbage collector need not walk it again."""
    gc.collect()
    gc.freeze()


@signals.worker_shutting_down.connect
def _stop_beginning_mails(**_: Any) -> None:
    runtime.say_stopping()


app = create_app()
