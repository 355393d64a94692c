"""The Celery app: how a task is sent by its name, and which boot-steps a worker has.

Importing it changes nothing of the program that does: what a worker needs of a process is done by the boot-steps, which
run in a worker of ours and nowhere else.
"""

from __future__ import annotations

import sys
from typing import Any, Final

from .. import runtime
from . import celery_settings, command_line
from .guest import Guest
from .names import CHUNKS, MAP, SEND_EMAIL, STARMAP

CANVAS_TASKS: Final = (MAP, STARMAP, CHUNKS, "celery.group", "celery.chain", "celery.chord")
_POSITIONAL: Final = ("countdown", "eta", "task_id", "producer", "connection", "router", "result_cls", "expires")


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
            positional = dict(zip(_POSITIONAL, more, strict=False))
            self.loader.import_default_modules()
            return self.tasks[SEND_EMAIL].apply_async(args, kwargs, **positional, **options)
        if name in CANVAS_TASKS and SEND_EMAIL in str((args, kwargs)):
            raise TypeError(f"{name}: call send_email.many([…]), or send_email.delay(…) for each mail")
        return super().send_task(name, args, kwargs, *more, **options)


def create_app() -> Guest:
    """Raises `SettingsError`; on the command line that ends the command with its one line."""
    with command_line.one_line_errors():
        app = Application(
            "mailworker",
            celery_settings.put_the_site_s_on_top,
            include=["mailworker.worker.tasks"],
            amqp="mailworker.worker.privacy:PrivateAMQP",
        )
        celery_settings.put_ours(app)
        app.steps["worker"].update(("mailworker.worker.process:Prepared", "mailworker.worker.watcher:Watcher"))
        if command_line.is_running() and command_line.chose_mailworker():
            _start(app)
    return app


def _start(app: Application) -> None:
    """Once, when a command of ours begins: the site's own file, and what that command needs."""
    if app._started:
        return
    app._started = True
    if command_line.starts_a_worker():
        runtime.check_that_mail_goes_somewhere()
    if (broker := command_line.broker()) is not None:
        app.conf.broker_url = broker
    app.configure()
    if "flower.command" in sys.modules:  # on Celery's command line, which loads it
        from . import flower  # noqa: PLC0415 - nobody else needs it

        flower.prepare()


app = create_app()
