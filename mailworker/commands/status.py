"""`mailworker status`: the report of `findings`, for a person or as JSON, with an exit code for scripts."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import click

from .console import code_of, explained, make_queries, one_line, one_line_errors, short_name


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@one_line_errors
def status(as_json: bool) -> None:
    """Whether mail flows, or what is wrong; what waits, what is under way, what was sent.

    Exit codes: 0 mail flows, 1 a problem that somebody must mend, 75 Redis or the relay is away and is tried again,
    78 a setting is wrong, or Redis refuses the login.
    """
    from ..errors import MailworkerError  # noqa: PLC0415
    from ..findings import first_finding, read_report  # noqa: PLC0415

    try:
        report = read_report(make_queries())
    except MailworkerError as error:
        if as_json:
            click.echo(json.dumps({"verdict": explained(error), "code": code_of(error)}))
        raise
    finding = first_finding(report)
    if as_json:
        click.echo(json.dumps(_as_json(report) | {"verdict": finding.sentence, "code": finding.code}))
    else:
        click.echo(one_line(finding.sentence))
        for line in _lines(report):
            click.echo(line)
    sys.exit(finding.code)


def _as_json(report: dict[str, Any]) -> dict[str, Any]:
    """With the one relay under `relay`."""
    (relay,) = report["relays"].values()
    return {name: value for name, value in report.items() if name != "relays"} | {"relay": relay}


def _lines(report: dict[str, Any]) -> Iterator[str]:
    """The table below the first line."""
    from ..findings import relay_line  # noqa: PLC0415

    for queue, length in report["lists"].items():
        waiting = f"{length:>10} waiting in the list" if length is not None else f"{'?':>10} this key is no list"
        yield f"{one_line(queue):<24}{waiting}"
    for state, number in report["states"].items():
        yield f"{state:<24}{number:>10}"
    totals = report["totals"]
    yield f"{'sent since ever':<24}{totals['sent']:>10}"
    yield f"{'in doubt since ever':<24}{totals['in_doubt']:>10}"
    yield from _workers(report)
    for relay in report["relays"].values():
        yield one_line(relay_line(relay))


def _workers(report: dict[str, Any]) -> Iterator[str]:
    from ..findings import span  # noqa: PLC0415

    yield f"{'workers':<24}{len(report['workers']):>10} with {sum(report['workers'].values())} pool children"
    for name, age in report["heard_seconds"].items():
        heard = f"last heard of {span(age)} ago" if age is not None else "nobody can tell when it was last heard of"
        lost = ": taken to be gone, or stopped" if name in report["silent"] else ""
        yield f"{'':<24}{'':>10} {one_line(short_name(name))}: {heard}{lost}"
