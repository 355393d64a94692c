"""`mailworker demo`."""

from __future__ import annotations

import sys

import click

from .console import one_line_errors


@click.command()
@click.option("--once", is_flag=True, help="End once the mails have arrived.")
@one_line_errors
def demo(once: bool) -> None:
    """The whole line on this machine: a Redis, a worker, Flower and an inbox of its own, and three mails."""
    from ..demo import run  # noqa: PLC0415

    sys.exit(run(once))
