"""The `mailworker` command, also as `celery -A mailworker mail`: the group, with a file for each of its commands.

Each command imports what it needs when it runs, so that `mailworker --help` is quick.
"""

from __future__ import annotations

import click

from .dead import dead
from .demo import demo
from .dkim import dkim
from .doubts import doubts
from .giveback import giveback
from .render import render
from .retry_now import retry_now
from .status import status


@click.group()
@click.version_option(package_name="mailworker")
def mail() -> None:
    """Mail from a legacy Redis list and from new code, delivered without losing one."""


for _command in (demo, status, retry_now, dead, doubts, giveback, render, dkim):
    mail.add_command(_command)


def main() -> None:
    """The program `mailworker`."""
    mail(prog_name="mailworker")
