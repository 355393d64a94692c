"""`python -m trials [--only NAMES] [--short] …`: prints the table, and exits with 1 where a row does not hold."""

from __future__ import annotations

import argparse
import secrets
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from . import processes, table
from .rows import ROWS, Row, Tally
from .runner import play, say


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m trials", description="Kills, hangs and lies; then counts.")
    parser.add_argument("--only", help="Names of rows with commas between: " + ", ".join(row.name for row in ROWS))
    parser.add_argument("--trials", type=int, help="Strikes a row, instead of the table's own number.")
    parser.add_argument("--short", "--quick", action="store_true", help="The form for CI.")
    parser.add_argument("--jobs", type=int, default=3, help="Rows at a time.")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    parser.add_argument("--write", action="store_true", help="Put the table into docs/reliability.md.")
    parser.add_argument("--keep", action="store_true", help="Logs and ledgers stay, also where all held.")
    options = parser.parse_args()
    names = options.only.split(",") if options.only else [row.name for row in ROWS]
    unknown = set(names) - {row.name for row in ROWS}
    if unknown:
        parser.error(f"no such row: {', '.join(sorted(unknown))}")
    for number in (signal.SIGTERM, signal.SIGINT):  # so that no process of a stage is left
        signal.signal(number, lambda *_: processes.cancelled.set())
    say(f"seed {options.seed}")
    rows = [(row, options.trials or (row.short if options.short else row.trials)) for row in ROWS if row.name in names]
    rows = [(row, trials) for row, trials in rows if trials]

    def one(row: Row, trials: int) -> tuple[Row, Tally]:
        begun = time.monotonic()
        tally = play(row, trials, options.seed, options.keep)
        say(f"{row.name}: {tally} in {time.monotonic() - begun:.0f} s")
        return row, tally

    with ThreadPoolExecutor(options.jobs) as pool:
        futures = [pool.submit(one, *item) for item in rows]
        try:
            played = [future.result() for future in futures]
        except processes.CancelledError:
            say("ended before its end")
            return 1
    text = table.render(played)
    print(text)
    if options.write:
        table.write(text, options.seed)
    return 0 if all(table.passed(row, tally) for row, tally in played) else 1


if __name__ == "__main__":
    sys.exit(main())
