"""`mailworker doubts`."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import click

from .console import make_queries, one_line_errors


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@one_line_errors
def doubts(as_json: bool) -> None:
    """The mails whose acceptance was not heard: a relay may have them, so that receivers may get them twice.

    The id is the first part of the mail's Message-ID. The last ten thousand are kept.
    """
    for mail_id, at, state in make_queries().doubts():
        moment = datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="milliseconds")
        if as_json:
            click.echo(json.dumps({"id": mail_id, "at": moment, "state": state}))
        else:
            click.echo(f"{mail_id}  {moment}  {state}")
