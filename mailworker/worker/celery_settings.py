"""Celery's settings for our app: the packaged `celeryconfig.py`, what our own settings say of the broker, and on top of
both the site's own file, which may not change what the promises rest on.
"""

from __future__ import annotations

import importlib.util
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from .. import runtime
from ..errors import SettingsError
from .guest import Guest
from .names import names, redis_keys

REQUIRED: Final = {
    "task_acks_late": True,
    "task_acks_on_failure_or_timeout": True,
    "task_reject_on_worker_lost": False,
    "accept_content": ["json"],
    "task_serializer": "json",
}
"""What the promises rest on; a site's own celeryconfig.py must not change these."""

_PACKAGED: Final = Path(__file__).with_name("celeryconfig.py")


def put_ours(app: Guest) -> None:
    """What the app has wherever it is imported. Raises `SettingsError`."""
    settings = runtime.settings()
    app.made_of = settings
    app.conf.update(broker_url=settings.broker.url)
    app.conf.update(_values(_PACKAGED))
    app.conf.update(names(settings.spool_prefix))
    _complete(app)


def follow(app: Guest) -> None:
    """Where a host has settings by now, and had none when it imported us: the broker is theirs."""
    if app.made_of is not runtime.settings():
        put_ours(app)
        app.forget_connections()


def put_the_site_s_on_top(app: Guest) -> None:
    """The file of the folder in which a worker or a command of ours was started. Raises `SettingsError`."""
    own = Path.cwd() / "celeryconfig.py"
    if own.is_file() and own.resolve() != _PACKAGED.resolve():
        try:
            app.conf.update(_values(own))
        except Exception as error:
            raise SettingsError(f"celeryconfig.py: {_problem(error, own)}") from error
    _complete(app)
    for key, value in REQUIRED.items():
        if app.conf[key] != value:
            raise SettingsError(f"celeryconfig.py: {key} must stay {value!r}")


def _problem(error: Exception, path: Path) -> str:
    """What is wrong with a site's own file, and in which line."""
    if isinstance(error, SyntaxError):
        return f"line {error.lineno}: {error.msg}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return f"line {lines[-1] if lines else '?'}: {type(error).__name__}: {error}"


def _complete(app: Guest) -> None:
    """What the connection to the broker needs of our own settings, whoever wrote its other options."""
    needed: dict[str, Any] = dict(redis_keys(runtime.settings().spool_prefix))
    broker = runtime.settings().broker
    if broker.ssl:
        app.conf.broker_use_ssl = dict(broker.ssl) | (app.conf.broker_use_ssl or {})
    elif str(app.conf["broker_url"]).startswith("rediss://") and not app.conf["broker_use_ssl"]:
        # A site's own file named it. Without this kombu checks no certificate.
        app.conf.broker_use_ssl = {"ssl_cert_reqs": "required"}
    app.conf.broker_transport_options = needed | app.conf.broker_transport_options | broker.options


def _values(path: Path) -> dict[str, Any]:
    spec = importlib.util.spec_from_file_location("celeryconfig", path)
    if spec is None or spec.loader is None:
        raise SettingsError(f"{path.name}: cannot be loaded")
    module = ModuleType("celeryconfig")
    spec.loader.exec_module(module)
    return {key: value for key, value in vars(module).items() if key.islower() and not key.startswith("_")}
