"""`mailworker giveback`."""

from __future__ import annotations

import sys

import click

from .console import make_queries, make_spool, one_line_errors, progress_bar


@click.command()
@click.option("--dead", "with_dead", is_flag=True, help="Dead letters too: the old daemon may choke on them.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@one_line_errors
def giveback(with_dead: bool, yes: bool) -> None:
    """Push everything that is not sent back onto the legacy list, as it was and in its order.

    For the way back to the old daemon: stop the workers first.
    """
    from ..delivery.giveback import give_back, release_the_gone  # noqa: PLC0415
    from ..runtime import settings  # noqa: PLC0415

    queries, spool = make_queries(), make_spool()
    if not release_the_gone(spool, queries):
        sys.exit("mailworker: a worker is running; stop the workers first, or they take it all again")
    if not yes:
        click.confirm("Push everything that is not sent back onto the legacy list?", abort=True)
    with progress_bar("Giving back") as progress:
        result = give_back(spool, queries, settings().limits, with_dead, progress)
    click.echo(f"{result.given} given back")
    if result.kept:
        click.echo(f"{result.kept} kept: some of their recipients have them, or may have them, already")
    if result.beyond:
        click.echo(
            f"{result.beyond} kept: the old daemon would not send them as they are meant (HTML, files, copies, "
            "headers, a finished message, a time to come or one that is over); a worker does"
        )
