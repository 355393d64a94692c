"""`mailworker retry-now`."""

from __future__ import annotations

import click

from .console import fail, make_spool, one_line_errors


@click.command("retry-now")
@click.argument("ids", nargs=-1, metavar="[ID]…")
@one_line_errors
def retry_now(ids: tuple[str, ...]) -> None:
    """All that waits for its next attempt is due now, and a relay that was given up is tried at once.

    For when what was wrong has been mended. No attempt is counted by it. A mail whose caller asked for a later time
    waits on, unless it is named by its id. For dead letters: `mailworker dead retry`.
    """
    due, probed = make_spool().hasten(ids)
    click.echo(f"{due} mails are due now" + ("; the relay is tried at once" if probed else ""))
    if ids and due < len(set(ids)):
        fail(f"{len(set(ids)) - due} of these ids are not waiting for an attempt", 1)
