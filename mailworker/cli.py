"""The `mailworker` command, also as `celery -A mailworker mail`. Each command imports what it needs when it runs."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import click

if TYPE_CHECKING:
    from .spool import DeadLetter, Views

P = ParamSpec("P")
R = TypeVar("R")


def _one_line_errors(command: Callable[P, R]) -> Callable[P, R]:
    """What went wrong, as one line on standard error and exit code 1; never a traceback for a known error."""

    @wraps(command)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        from .errors import MailworkerError  # noqa: PLC0415 - see above

        try:
            return command(*args, **kwargs)
        except MailworkerError as error:
            sys.exit(f"mailworker: {error}")

    return wrapper


@click.group()
@click.version_option(package_name="mailworker")
def mail() -> None:
    """Mail from a legacy Redis list and from new code, delivered without losing one."""


def main() -> None:
    mail(prog_name="mailworker")


@mail.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@_one_line_errors
def status(as_json: bool) -> None:
    """What waits, what is under way, what was sent, and whether the relay answers."""
    report = _views().status()
    if as_json:
        click.echo(json.dumps(report))
        return
    for queue, length in report["lists"].items():
        click.echo(f"{queue:<24}{length:>10} waiting in the list")
    for state, number in report["states"].items():
        click.echo(f"{state:<24}{number:>10}")
    totals = report["totals"]
    click.echo(f"{'sent since ever':<24}{totals['sent']:>10}")
    click.echo(f"{'in doubt since ever':<24}{totals['in_doubt']:>10}")
    click.echo(f"{'workers':<24}{len(report['workers']):>10} with {sum(report['workers'].values())} pool children")
    relay = report["relay"]
    if relay["open"]:
        who = "the configuration must be mended" if relay["needs_operator"] else "tried again by itself"
        click.echo(f"the relay does not work ({who}): {relay['last_error']}")
    else:
        click.echo("the relay works, as far as is known")


@mail.group()
def dead() -> None:
    """Dead letters: mails that somebody must look at."""


@dead.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, with the exact octets in base64.")
@_one_line_errors
def dead_list(as_json: bool) -> None:
    """Every dead letter, oldest first, with its reason."""
    for letter in _views().dead_letters():
        if as_json:
            click.echo(json.dumps(as_fields(letter), ensure_ascii=False))
        else:
            moment = datetime.fromtimestamp(letter.ended // 1000, UTC).isoformat(" ", "seconds")
            click.echo(f"{letter.id}  {moment}  {letter.reason:<18} {letter.detail}")


def as_fields(letter: DeadLetter) -> dict[str, Any]:
    """The public shape of a dead letter: `at` is when it became one, ISO 8601 in UTC."""
    return {
        "id": letter.id,
        "reason": letter.reason,
        "detail": letter.detail,
        "source": letter.source,
        "attempts": letter.attempts,
        "recipients": json.loads(letter.recipients) if letter.recipients else None,
        "raw_base64": base64.b64encode(letter.raw).decode("ascii"),
        "at": datetime.fromtimestamp(letter.ended / 1000, UTC).isoformat(timespec="milliseconds"),
    }


def _views() -> Views:
    from .runtime import settings  # noqa: PLC0415
    from .spool import Views, connect  # noqa: PLC0415

    configuration = settings()
    client = connect(configuration.redis_url.get_secret_value())
    return Views(client, configuration.legacy_queues, configuration.spool_prefix)
