"""`mailworker dkim`."""

from __future__ import annotations

import json
from typing import Final

import click

from .console import one_line_errors

STRING: Final = 255
"""Octets of one string in a TXT record (RFC 1035, 3.3.14). Receivers join them."""


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, the text in one piece.")
@one_line_errors
def dkim(as_json: bool) -> None:
    """The DNS records that receivers verify signatures with, one for each key of MAILWORKER_DKIM_KEYS.

    As they stand in a zone file. A form of a provider wants the text in one piece and without quotes: see --json.
    """
    from .. import runtime  # noqa: PLC0415 - help is quick without it
    from ..errors import SettingsError  # noqa: PLC0415

    signers = runtime.settings().author.signers
    if signers is None:
        raise SettingsError("MAILWORKER_DKIM_KEYS: is not set: there is no key")
    for keys in signers.keys.values():
        for key in keys:
            click.echo(_json(key.source.name, key.record) if as_json else _line(key.source.name, key.record))
    for warning in signers.warnings:
        click.echo(f"mailworker: MAILWORKER_DKIM_KEYS: {warning}", err=True)


def _json(name: str, text: str) -> str:
    return json.dumps({"name": name, "type": "TXT", "text": text})


def _line(name: str, text: str) -> str:
    strings = (text[at : at + STRING] for at in range(0, len(text), STRING))
    return f"{name}. IN TXT " + " ".join(f'"{string}"' for string in strings)
