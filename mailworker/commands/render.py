"""`mailworker render`: a look at the mail that a template makes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

import click

from .console import fail, one_line, one_line_errors

if TYPE_CHECKING:
    from ..mail.templating.templates import Rendered

Part = Literal["html", "text", "eml"]


@click.command(
    epilog="For example: mailworker render welcome --set user.name=Ada --set link=https://example.com/1 --open"
)
@click.argument("name")
@click.option("--context", type=click.File("rb"), help="A file of JSON with the variables, or - for standard input.")
@click.option("--set", "pairs", multiple=True, metavar="KEY=VALUE", help="A variable that is a text, as user.name=Ada.")
@click.option("--html", "part", flag_value="html", help="The HTML alone.")
@click.option("--text", "part", flag_value="text", help="The text alone.")
@click.option("--eml", "part", flag_value="eml", help="The whole message as a relay gets it, to a made-up recipient.")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="A file to write it to.")
@click.option("--open", "to_open", is_flag=True, help="Shows the HTML in a browser.")
@one_line_errors
def render(
    name: str, context: BinaryIO | None, pairs: tuple[str, ...], part: Part | None, output: Path | None, to_open: bool
) -> None:
    """The mail that the template NAME of MAILWORKER_TEMPLATES makes: subject, text and HTML. Nothing is sent.

    Exit codes: 0 it can be made, 1 it cannot, 2 the command is wrong, 78 a setting is wrong.
    """
    from .. import settings  # noqa: PLC0415 - help is quick without it
    from ..mail.templating import templates  # noqa: PLC0415

    variables = _variables(context)
    for pair in pairs:
        _set(variables, pair)
    rendered = templates.render(name, variables, settings.load().templates)
    if to_open:
        _open(output or _new_file(), _html(rendered, name))
    else:
        _write(output, _content(name, rendered, part))


def _variables(file: BinaryIO | None) -> dict[str, Any]:
    if file is None:
        return {}
    try:
        variables = json.load(file)
    except json.JSONDecodeError as error:
        raise click.BadParameter(f"--context: line {error.lineno}, column {error.colno}: {error.msg}") from None
    except (ValueError, RecursionError):  # other octets, a number of thousands of digits, brackets without an end
        raise click.BadParameter("--context: is not JSON in UTF-8") from None
    if not isinstance(variables, dict):
        raise click.BadParameter('--context: expected an object, as {"name": "Ada"}')
    return variables


def _set(variables: dict[str, Any], pair: str) -> None:
    """`user.name=Ada` is the `name` of `user`."""
    key, equals, value = pair.partition("=")
    *path, last = key.split(".")
    if not equals or not all((*path, last)):
        raise click.BadParameter(f"--set: expected KEY=VALUE, got {one_line(key)}")
    for step in path:
        variables = variables.setdefault(step, {})
        if not isinstance(variables, dict):
            raise click.BadParameter(f"--set: {one_line(key)}: {one_line(step)} is a value already")
    variables[last] = value


def _content(name: str, rendered: Rendered, part: Part | None) -> bytes:
    if part == "eml":
        return _message(rendered)
    if part == "html":
        return _html(rendered, name)
    if part == "text":
        return (rendered.text or "").encode("utf-8", "replace")
    return ("\n".join(_overview(name, rendered)) + "\n").encode("utf-8", "replace")


def _html(rendered: Rendered, name: str) -> bytes:
    if rendered.html is None:
        fail(f"template: there is no {name}.html: the mail is a text", 1)
    return rendered.html.encode("utf-8", "replace")


def _overview(name: str, rendered: Rendered) -> Iterator[str]:
    """For a terminal: no control character of a variable reaches it."""
    missing = f"(there is no {name}.subject: pass subject=…)"
    yield f"subject  {missing if rendered.subject is None else one_line(rendered.subject)}"
    for part, content in (("text", rendered.text), ("html", rendered.html)):
        yield f"\n{part}  {'(none)' if content is None else f'{len(content.encode()):,} octets'}\n"
        yield from (one_line(line.expandtabs()).rstrip() for line in (content or "").splitlines())


def _message(rendered: Rendered) -> bytes:
    """Built and signed as the site's mails are."""
    import time  # noqa: PLC0415

    from .. import settings  # noqa: PLC0415
    from ..delivery import compose  # noqa: PLC0415
    from ..mail.address import Mailbox  # noqa: PLC0415
    from ..mail.email import Email  # noqa: PLC0415

    author = settings.load().author
    subject, text, html = (
        None if part is None else part.encode("utf-8", "replace")
        for part in (rendered.subject, rendered.text, rendered.html)
    )
    email = Email((Mailbox("recipient@example.com"),), subject or b"", text, html)
    return compose.build(email, author, author.message_id("preview"), time.time_ns() // 1_000_000).data


def _write(output: Path | None, content: bytes) -> None:
    if output is None:
        click.echo(content, nl=False)
        return
    try:
        output.write_bytes(content)
    except OSError as error:
        fail(f"--output: {output} cannot be written: {error.strerror}", 1)


def _new_file() -> Path:
    """It stays: the browser reads it after this command has ended."""
    import os  # noqa: PLC0415
    import tempfile  # noqa: PLC0415

    number, path = tempfile.mkstemp(".html", "mailworker-render-")
    os.close(number)
    return Path(path)


def _open(file: Path, html: bytes) -> None:
    import webbrowser  # noqa: PLC0415

    _write(file, html)
    if not webbrowser.open(file.resolve().as_uri()):
        fail(f"there is no browser to open: the HTML is in {file}", 1)
    click.echo(str(file))
