"""`mailworker dead …`: what a person does with dead letters."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .console import fail, make_queries, make_spool, one_line, one_line_errors, progress_bar, seconds_of

if TYPE_CHECKING:
    from ..spool import DeadLetter, Queries


@click.group()
def dead() -> None:
    """Dead letters: mails that somebody must look at."""


def _selection(command: Callable[..., None]) -> Callable[..., None]:
    """The options by which every command here picks dead letters; together they all must hold."""
    for option in (
        click.argument("ids", nargs=-1),
        click.option("--reason", help="Only this reason code."),
        click.option("--older-than", "age", callback=_age, help="Only those dead for so long: 90s, 15m, 2h, 3d."),
        click.option("--recipient", help="Only mail to this address."),
    ):
        command = option(command)
    return command


def _age(_context: click.Context, _parameter: click.Parameter, value: str | None) -> float | None:
    return seconds_of(value) if value else None


def _selected(
    ids: tuple[str, ...],
    reason: str | None = None,
    age: float | None = None,
    recipient: str | None = None,
    payloads: bool = False,
) -> Iterator[DeadLetter]:
    """Ends the command where one of the ids is no dead letter."""
    from ..delivery import dead_letters  # noqa: PLC0415
    from ..runtime import settings  # noqa: PLC0415

    queries = make_queries()
    missing = dead_letters.missing(queries, ids) if ids else []
    if missing:
        fail(f"{missing[0]}: no such dead letter", 1)
    wanted = dead_letters.Selection(ids, reason, age, recipient)
    yield from dead_letters.select(queries, wanted, datetime.now(UTC).timestamp(), settings().limits, payloads)


def _fields(letter: DeadLetter, files: Mapping[str, bytes] | None = None) -> dict[str, Any]:
    from ..delivery.dead_letters import as_fields  # noqa: PLC0415

    return as_fields(letter, files or {})


def _files_of(letter: DeadLetter, queries: Queries, but: Container[str] = ()) -> dict[str, bytes]:
    """Its large files, by digest, but for those."""
    from ..delivery.dead_letters import blobs_of  # noqa: PLC0415
    from ..runtime import settings  # noqa: PLC0415

    return blobs_of(queries, letter, settings().limits, but) if letter.framed else {}


@dead.command("list")
@_selection
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, with the exact octets in base64.")
@one_line_errors
def list_letters(as_json: bool, **selection: Any) -> None:
    """Every dead letter, oldest first, with its reason."""
    for letter in _selected(**selection, payloads=as_json):
        if as_json:
            click.echo(json.dumps(_fields(letter), ensure_ascii=False))
        else:
            moment = datetime.fromtimestamp(letter.ended // 1000, UTC).isoformat(" ", "seconds")
            click.echo(f"{letter.id}  {moment}  {letter.reason:<18} {one_line(letter.detail)}")


@dead.command()
@click.argument("mail_id", metavar="ID")
@click.option(
    "--eml", is_flag=True, help="The message instead, as it would be sent: for a file that mail programs open."
)
@one_line_errors
def show(mail_id: str, eml: bool) -> None:
    """One dead letter: what is known of it, and the mail; where it came from a list its exact octets, escaped."""
    letter = next(_selected((mail_id,), payloads=True), None)
    if letter is None:  # gone since a moment ago
        fail(f"{mail_id}: no such dead letter", 1)
    if eml:
        click.echo(_message(letter), nl=False)
        return
    for name, value in _fields(letter).items():
        if name != "raw_base64":
            click.echo(f"{name:<11} {one_line(_shown(name, value))}")
    for name, text in _readable(letter):
        click.echo(f"{name:<11} {one_line(text)}".rstrip())


def _shown(name: str, value: Any) -> str:
    return ("all" if value is None else ", ".join(value)) if name == "recipients" else str(value)


def _message(letter: DeadLetter) -> bytes:
    """Ends the command where no message can be made of it."""
    from ..delivery.dead_letters import message_of  # noqa: PLC0415
    from ..errors import Unsendable  # noqa: PLC0415
    from ..runtime import settings  # noqa: PLC0415

    try:
        return message_of(letter, _files_of(letter, make_queries()), settings().author, settings().limits)
    except Unsendable as error:
        fail(f"{letter.id}: {error}", 1)


def _readable(letter: DeadLetter) -> Iterator[tuple[str, str]]:
    from ..delivery import readable  # noqa: PLC0415
    from ..delivery.dead_letters import mail_of  # noqa: PLC0415
    from ..runtime import settings  # noqa: PLC0415

    mail = mail_of(letter, settings().limits) if letter.framed else None
    if mail is not None:
        yield from readable.lines(mail, _files_of(letter, make_queries()))
        return
    yield "raw", repr(letter.raw[: readable.SHOWN])
    if len(letter.raw) > readable.SHOWN:
        yield "", f"… {len(letter.raw)} octets in all; `dead export` writes them out"


@dead.command()
@_selection
@click.option("--yes", is_flag=True, help="Do not ask.")
@one_line_errors
def retry(yes: bool, **selection: Any) -> None:
    """Try dead letters again, under their ids and with their history."""
    ids = [letter.id for letter in _selected(**selection)]
    if _confirmed(f"Try {len(ids)} dead letters again?", len(ids), yes or len(ids) == 1):
        click.echo(f"{_in_chunks('Retrying', ids, make_spool().retry)} go to the queue")


@dead.command()
@_selection
@click.option("--yes", is_flag=True, help="Do not ask.")
@one_line_errors
def drop(yes: bool, **selection: Any) -> None:
    """Give dead letters up for good."""
    ids = [letter.id for letter in _selected(**selection)]
    if _confirmed(f"Drop {len(ids)} dead letters for good?", len(ids), yes):
        click.echo(f"{_in_chunks('Dropping', ids, make_spool().drop)} dropped")


@dead.command()
@_selection
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), required=True, help="The file to write.")
@one_line_errors
def export(output: Path, **selection: Any) -> None:
    """Write dead letters to a file, one JSON object a line, each of their files once. They stay where they are."""
    count = 0
    queries = make_queries()
    written: set[str] = set()
    try:
        with output.open("x", encoding="utf-8") as file:
            output.chmod(0o600)  # it holds addresses and bodies
            for letter in _selected(**selection, payloads=True):
                files = _files_of(letter, queries, written)
                file.write(json.dumps(_fields(letter, files), ensure_ascii=False) + "\n")
                written |= files.keys()
                count += 1
    except OSError as error:
        sys.exit(f"mailworker: {output}: {error.strerror}")
    click.echo(f"{count} written to {output}")


def _confirmed(question: str, count: int, yes: bool) -> bool:
    if not count:
        click.echo("no dead letter fits")
        return False
    return yes or click.confirm(question)


def _in_chunks(label: str, ids: list[str], act: Callable[[Sequence[str]], int]) -> int:
    from ..delivery.chunks import in_chunks  # noqa: PLC0415

    with progress_bar(label) as progress:
        return in_chunks(ids, act, progress)
