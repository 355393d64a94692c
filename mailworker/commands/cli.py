"""The `mailworker` command, also as `celery -A mailworker mail`. Each command imports what it needs when it runs."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import Any

import click

from .console import code_of, fail, make_queries, make_spool, one_line, one_line_errors, short_name, told
from .dead import dead


@click.group()
@click.version_option(package_name="mailworker")
def mail() -> None:
    """Mail from a legacy Redis list and from new code, delivered without losing one."""


def main() -> None:
    mail(prog_name="mailworker")


@mail.command()
@click.option("--once", is_flag=True, help="End once both mails have arrived.")
@one_line_errors
def demo(once: bool) -> None:
    """The whole line on this machine: a Redis, a worker, Flower and an inbox of its own, and two mails."""
    from ..demo import run  # noqa: PLC0415

    sys.exit(run(once))


@mail.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@one_line_errors
def status(as_json: bool) -> None:
    """Whether mail flows, or what is wrong; what waits, what is under way, what was sent.

    Exit codes: 0 mail flows, 1 a problem that somebody must mend, 75 Redis or the relay is away and is tried again,
    78 a setting is wrong, or Redis refuses the login.
    """
    from ..errors import MailworkerError  # noqa: PLC0415
    from ..findings import judge, relay_line, span  # noqa: PLC0415

    try:
        report = _without_the_gone(make_queries().status())
    except MailworkerError as error:
        if as_json:
            click.echo(json.dumps({"verdict": told(error), "code": code_of(error)}))
        raise
    finding = judge(report)
    if as_json:
        click.echo(json.dumps(report | {"verdict": finding.sentence, "code": finding.code}))
        sys.exit(finding.code)
    click.echo(one_line(finding.sentence))
    for queue, length in report["lists"].items():
        waiting = f"{length:>10} waiting in the list" if length is not None else f"{'?':>10} this key is no list"
        click.echo(f"{one_line(queue):<24}{waiting}")
    for state, number in report["states"].items():
        click.echo(f"{state:<24}{number:>10}")
    totals = report["totals"]
    click.echo(f"{'sent since ever':<24}{totals['sent']:>10}")
    click.echo(f"{'in doubt since ever':<24}{totals['in_doubt']:>10}")
    click.echo(f"{'workers':<24}{len(report['workers']):>10} with {sum(report['workers'].values())} pool children")
    for name, age in report["heard_seconds"].items():
        heard = f"last heard of {span(age)} ago" if age is not None else "nobody can tell when it was last heard of"
        lost = ": taken to be gone, or stopped" if name in report["silent"] else ""
        click.echo(f"{'':<24}{'':>10} {one_line(short_name(name))}: {heard}{lost}")
    click.echo(one_line(relay_line(report["relay"])))
    sys.exit(finding.code)


def _without_the_gone(report: dict[str, Any]) -> dict[str, Any]:
    """A worker of this machine whose process is gone is not alive, however short ago it was heard of."""
    from ..spool import machine, owner  # noqa: PLC0415

    space = machine.space()
    gone = {name for name in report["workers"] if owner.gone(name, space)}
    return report | {
        "workers": {name: size for name, size in report["workers"].items() if name not in gone},
        "silent": report["silent"] | {name: report["heard_seconds"][name] for name in gone},
    }


@mail.command("retry-now")
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


mail.add_command(dead)


@mail.command()
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


@mail.command()
@click.option("--dead", "with_dead", is_flag=True, help="Dead letters too: the old daemon may choke on them.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@one_line_errors
def giveback(with_dead: bool, yes: bool) -> None:
    """Push everything that is not sent back onto the legacy list, as it was and in its order.

    For the way back to the old daemon: stop the workers first.
    """
    from ..runtime import settings  # noqa: PLC0415
    from .giveback import give_back, release_the_gone  # noqa: PLC0415

    queries, spool = make_queries(), make_spool()
    if not release_the_gone(spool, queries):
        sys.exit("mailworker: a worker is running; stop the workers first, or they take it all again")
    if not yes:
        click.confirm("Push everything that is not sent back onto the legacy list?", abort=True)
    with click.progressbar(length=1, label="Giving back", file=sys.stderr) as bar:

        def progress(done: int, of: int) -> None:
            bar.length = of
            bar.update(done - bar.pos)

        result = give_back(spool, queries, settings().limits, with_dead, progress)
    click.echo(f"{result.given} given back")
    if result.kept:
        click.echo(f"{result.kept} kept: some of their recipients have them, or may have them, already")
