"""Plays one row on its stage: strikes under live pushes, waits until all is drained, compares the ledgers."""

from __future__ import annotations

import random
import sys

from .ledger import compare
from .processes import StalledError, wait_for
from .rows import Row, Tally
from .stage import Stage

DRAIN_SECONDS = 120


def play(row: Row, trials: int, seed: int, keep: bool = False) -> Tally:
    chance = random.Random(f"{seed}/{row.name}")  # noqa: S311 - to be had again from its seed
    seconds: list[float] = []
    notes: list[str] = []
    with Stage(row.options) as stage:
        stage.start_producer()
        for number in range(trials):
            try:
                seconds.append(row.strike(stage, number, chance))
                say(f"{row.name} {number + 1}/{trials}: {seconds[-1]:.2f} s")
            except StalledError as error:
                notes.append(f"strike {number + 1}: {error}")
                say(f"{row.name} {number + 1}/{trials}: {error}; {stage.watch.waiting()}")
            notes += [f"strike {number + 1}: worker {one} ended" for one in stage.replace_ended()]
        tally = settle(stage, seconds, notes)
        if keep or not row.holds(tally) or tally.notes:
            stage.keep()
            say(f"{row.name}: its logs and ledgers stay in {stage.folder}")
    return tally


def settle(stage: Stage, seconds: list[float], notes: list[str]) -> Tally:
    """Stops the producer, waits for the last mail, counts."""
    stage.stop_producer()
    stage.calm()
    if not _drained(stage):
        notes.append(f"no mail arrived for {DRAIN_SECONDS} s; left: {stage.watch.waiting()}")
    buried = stage.watch.buried()
    comparison = compare(stage.pushes, stage.arrivals, set(buried), stage.watch.doubts())
    if stage.watch.drained() and not stage.options.plain:
        try:
            wait_for("no child runs a task any more", lambda: not stage.active_tasks(), 20)
        except StalledError as error:
            notes.append(f"a child hangs: {error}")
    if buried:
        notes.append(f"dead letters: {sorted(set(buried.values()))}, {len(buried)} in all")
    if comparison.strange:
        notes.append(f"never pushed, mixed up, or under two ids: {comparison.strange[:5]}")
    if drift := stage.watch.drift():
        notes.append(f"the spool's counts are off by {drift}")
    files = stage.watch.faults_of_files()
    if files:
        say(f"  files: {', '.join(files[:12])}")
    for kind, tokens in (("lost", comparison.lost), ("unexplained", comparison.unexplained)):
        if tokens:
            say(f"  {kind}: {', '.join(tokens[:12])}")
    return Tally(
        struck=len(seconds),
        pushed=comparison.pushed,
        lost=len(comparison.lost),
        doubled=comparison.extra,
        unexplained=len(comparison.unexplained),
        in_doubt=stage.watch.counts().get("total:in_doubt", 0),
        seconds=seconds,
        files=len(files),
        notes=notes,
    )


def _drained(stage: Stage) -> bool:
    """Waits until nothing is left, as long as mails arrive."""
    while not stage.watch.drained():
        if not _arrives(stage, stage.arrivals.total()):
            return False
    return True


def _arrives(stage: Stage, before: int) -> bool:
    """False where no more mail arrives than those before, and some are left."""
    try:
        wait_for(
            "a mail arrives, or none is left",
            lambda: stage.watch.drained() or stage.arrivals.total() > before,
            DRAIN_SECONDS,
            0.1,
        )
    except StalledError:
        return False
    return True


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
