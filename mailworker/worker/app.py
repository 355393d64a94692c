"""The Celery app: its settings and its boot-steps. Celery stays at this rim.

Importing it changes nothing of the program that does: what a worker needs of a process is done by the boot-steps, which
run in a worker of ours and nowhere else.
"""

from __future__ import annotations

import importlib.util
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from .. import runtime
from ..errors import SettingsError
from . import command_line
from .guest import Guest
from .names import CHUNKS, MAP, SEND_EMAIL, STARMAP, names, redis_keys

REQUIRED = {
    "task_acks_late": True,
    "task_acks_on_failure_or_timeout": True,
    "task_reject_on_worker_lost": False,
    "accept_content": ["json"],
    "task_serializer": "json",
}
"""What the promises rest on; a site's own celeryconfig.py must not change these."""

CANVAS_TASKS: Final = (MAP, STARMAP, CHUNKS, "celery.group", "celery.chain", "celery.chord")
_POSITIONAL: Final = ("countdown", "eta", "task_id")
_PACKAGED: Final = Path(__file__).with_name("celeryconfig.py")


class Application(Guest):
    """By name, too, a mail is in the spool before a message speaks of it."""

    _user_options: Any = None
    _started = False

    @property
    def user_options(self) -> Any:
        """Celery's command line asks for it once it has chosen this app, under whatever name a site gave it."""
        if command_line.is_running():
            with command_line.one_line_errors():
                _start(self)
        return self._user_options

    @user_options.setter
    def user_options(self, value: Any) -> None:
        self._user_options = value

    def send_task(self, name: str, args: Any = None, kwargs: Any = None, *more: Any, **options: Any) -> Any:
        if name == SEND_EMAIL and (args or kwargs):
            named = dict(zip(_POSITIONAL, more, strict=False))
            self.loader.import_default_modules()
            return self.tasks[SEND_EMAIL].apply_async(args, kwargs, **named, **options)
        if name in CANVAS_TASKS and SEND_EMAIL in str((args, kwargs)):
            raise TypeError(f"{name}: call send_email.delay(…) for each mail")
        return super().send_task(name, args, kwargs, *more, **options)


def create_app() -> Guest:
    """Raises `SettingsError`; on the command line that ends the command with its one line."""
    with command_line.one_line_errors():
        app = Application(
            "mailworker",
            _put_the_site_on_top,
            include=["mailworker.worker.tasks"],
            amqp="mailworker.worker.privacy:PrivateAMQP",
        )
        app.conf.update(broker_url=runtime.settings().broker.url)
        app.conf.update(_values(_PACKAGED))
        app.conf.update(names(runtime.settings().spool_prefix))
        _complete(app)
        app.steps["worker"].update(("mailworker.worker.process:Prepared", "mailworker.worker.watcher:Watcher"))
        if command_line.is_running() and command_line.chose_mailworker():
            _start(app)
    return app


def _start(app: Application) -> None:
    """Once, when a command of ours begins: the site's own file, and what that command needs."""
    if app._started:
        return
    app._started = True
    if (broker := command_line.broker()) is not None:
        app.conf.broker_url = broker
    app.configure()
    if "flower.command" in sys.modules:  # on Celery's command line, which loads it
        from . import flower  # noqa: PLC0415 - nobody else needs it

        flower.prepare()


def _put_the_site_on_top(app: Guest) -> None:
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


app = create_app()
