"""Was our app chosen on Celery's command line (`celery -A mailworker …`), and with which broker?

Celery's command line is click's, and click's context is the only place where it says so before it loads the app: that
is why this module, and no other outside `commands`, imports click.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click
from click.core import ParameterSource

from ..errors import SettingsError
from ..findings import SETTINGS


def is_running() -> bool:
    """This process runs a command of click's: Celery's, or a host's that imports us."""
    return click.get_current_context(silent=True) is not None


def chose_mailworker() -> bool:
    """`celery -A mailworker …`, and not a host's command that imports us."""
    chosen = click.get_current_context().find_root().params.get("app")
    return isinstance(chosen, str) and chosen.partition(":")[0].partition(".")[0] == "mailworker"


def starts_a_worker() -> bool:
    """`celery … worker`."""
    return click.get_current_context().find_root().invoked_subcommand == "worker"


def broker() -> str | None:
    """What `--broker` says, and not BROKER_URL, which is a host's."""
    root = click.get_current_context().find_root()
    if root.get_parameter_source("broker") is not ParameterSource.COMMANDLINE:
        return None
    return str(root.params["broker"])


@contextmanager
def one_line_errors() -> Iterator[None]:
    """On a command line a `SettingsError` ends the command with its one line; elsewhere the program gets it."""
    try:
        yield
    except SettingsError as error:
        if not is_running():
            raise
        click.echo(f"mailworker: {error}", err=True)
        sys.exit(SETTINGS)
