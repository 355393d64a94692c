"""`python -m benchmarks [--quick] [--only NAMES] [--runs N] [--mails N]`"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from .chart import svg
from .heavy import large, line, million
from .rich import attachment, dkim, html, many
from .rows import Options, distance, loopback, pools, postfix, wide
from .single import call, idle, latency, start
from .stage import ROOT, Failed, ended_politely
from .table import Table, markdown

RESULTS: Final = Path(__file__).parent / "results"
ROWS: Final[dict[str, Callable[[Options], Table]]] = {
    "loopback": loopback,
    "distance": distance,
    "postfix": postfix,
    "latency": latency,
    "delay": call,
    "idle": idle,
    "start": start,
    "html": html,
    "dkim": dkim,
    "attachment": attachment,
    "many": many,
    "large": large,
    "line": line,
    "pools": pools,
    "wide": wide,
    "million": million,
}
CHART: Final = ROOT / "docs" / "performance.svg"
CHARTED: Final = ("loopback", "distance", "pools")
ONLY_WHEN_ASKED: Final = ("pools", "wide", "million")
QUICK: Final = ("loopback", "distance", "latency", "delay", "html", "many")


def main() -> int:
    arguments = _arguments()
    options = _options(arguments)
    names = arguments.only.split(",") if arguments.only else _default_rows(arguments)
    unknown = [name for name in names if name not in ROWS]
    if unknown:
        sys.exit(f"there is no row {unknown[0]!r}; the rows are {', '.join(ROWS)}")
    tables = []
    try:
        with ended_politely():
            for name in names:
                print(name, file=sys.stderr, flush=True)
                tables.append(ROWS[name](options))
                print(markdown(tables[-1]), flush=True)
    except KeyboardInterrupt:
        return 130
    except Failed as failed:
        print(f"**FAILED**: {failed}")
        return 1
    finally:
        _write(tables, options)
    if arguments.chart:
        CHART.write_text(svg([table for table in tables if table.name in CHARTED]), "utf-8")
    return 1 if any(None in line.values for table in tables for line in table.lines) else 0


def _default_rows(arguments: argparse.Namespace) -> list[str]:
    if arguments.quick:
        return list(QUICK)
    return [name for name in ROWS if arguments.full or name not in ONLY_WHEN_ASKED]


def _write(tables: list[Table], options: Options) -> None:
    if not tables:
        return
    RESULTS.mkdir(exist_ok=True)
    stamp = time.strftime("%Y%m%d-%H%M%S")
    machine = {"python": platform.python_version(), "system": platform.platform()}
    value: dict[str, Any] = {"command": sys.argv[1:], "at": stamp, "machine": machine, "options": asdict(options)}
    value["tables"] = [asdict(table) for table in tables]
    path = RESULTS / f"{stamp}.json"
    path.write_text(json.dumps(value, indent=1), "utf-8")
    print(f"written: {path}", file=sys.stderr)


def _options(arguments: argparse.Namespace) -> Options:
    quick = arguments.quick
    return Options(
        runs=arguments.runs or (1 if quick else 5),
        mails=arguments.mails or (4_000 if quick else 20_000),
        seconds=arguments.seconds or (1.5 if quick else 6),
        round_trip=arguments.round_trip / 1000,
        chunking=not arguments.no_chunking,
        pipelining=not arguments.no_pipelining,
        mails_per_connection=arguments.mails_per_connection,
        size=arguments.size,
        processes=arguments.processes,
        append_only=arguments.append_only,
        quick=quick,
        contestants=tuple(arguments.contestants.split(",")) if arguments.contestants else (),
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measures mailworker and its peers.")
    add = parser.add_argument
    add("--quick", action="store_true", help="a minute: fewer rows, contestants, mails and runs")
    add("--full", action="store_true", help="every row, also those that take minutes")
    add("--only", default="", metavar="NAMES", help=f"of these rows: {', '.join(ROWS)}")
    add("--contestants", default="", metavar="NAMES", help="only these, where a row has several")
    add("--runs", type=int, default=0, metavar="N", help="of each contestant (5)")
    add("--mails", type=int, default=0, metavar="N", help="the backlog (20000)")
    add("--seconds", type=float, default=0, help="how long a run of a slow contestant lasts (6)")
    add("--round-trip", type=float, default=40, metavar="MS", help="of the row `distance` (40)")
    add("--no-chunking", action="store_true", help="the server does not announce CHUNKING")
    add("--no-pipelining", action="store_true", help="the server does not announce PIPELINING")
    add("--mails-per-connection", type=int, default=0, metavar="N", help="the server closes after so many")
    add("--size", type=int, default=700, metavar="OCTETS", help="of a mail's body (700)")
    add("--processes", type=int, default=5, metavar="N", help="that send (5)")
    add("--append-only", action="store_true", help="Redis with its append-only file, for all alike")
    add("--chart", action="store_true", help="draw docs/performance.svg")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
