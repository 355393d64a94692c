"""The way back to the old daemon: what is not sent goes back to the legacy list, as it was and in its order."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from ..errors import Unsendable
from ..mail import entry
from ..mail.email import Limits
from ..spool import Queries, Spool, Waiting, machine, owner

CHUNK = 200
BEAT_SECONDS = 1.0
SILENT_SECONDS = 20.0
"""The same as `watcher.DEAD_AFTER_SECONDS`: nobody who may be alive is taken for dead sooner by a command."""


@dataclass(frozen=True, slots=True)
class GivenBack:
    """`kept` stay in the spool: somebody has them already, or may have, so that the old daemon would double them."""

    given: int
    kept: int


def give_back(
    spool: Spool, queries: Queries, limits: Limits, dead: bool, progress: Callable[[int, int], None]
) -> GivenBack:
    """Calls `progress(done, of)` as it goes. Stopped half-way, the order still holds: run it again.

    Raises `SpoolError`.
    """
    waiting = queries.waiting(dead)
    mails = [(mail_id, *_entry(spool, mail, limits)) for _, mail_id, mail in reversed(waiting) if not mail.reached]
    given = 0
    for begin in range(0, len(mails), CHUNK):
        given += spool.give_back(mails[begin : begin + CHUNK])
        progress(min(begin + CHUNK, len(mails)), len(mails))
    return GivenBack(given, len(waiting) - len(mails))


def release_the_gone(spool: Spool, queries: Queries, space: str | None = None) -> bool:
    """Takes back what workers that were killed had in hand. False where one may be alive.

    A process of this machine is gone or there: the kernel says so. Of others only their pulse tells, which a machine
    that is busy may keep back for seconds: where it is silent, this waits as long as a worker would.

    Raises `SpoolError`.
    """
    here = machine.space() if space is None else space
    before = queries.beats()
    if any(owner.alive(name, here) for name in before):
        return False
    doubtful = {name for name in before if not owner.gone(name, here)}
    if doubtful and _beat_goes_on(queries, before, SILENT_SECONDS):
        return False
    for name in before:
        spool.release(name, died=True)
    return True


def _beat_goes_on(queries: Queries, before: dict[str, str], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if any(beat != before.get(name) for name, beat in queries.beats().items()):
            return True
        time.sleep(BEAT_SECONDS / 4)
    return False


def _entry(spool: Spool, mail: Waiting, limits: Limits) -> tuple[str, bytes]:
    """The list and the octets: the original ones, or for mail of new code what a PHP producer would have pushed."""
    if mail.source:
        return mail.source, mail.payload
    try:
        return spool.queues[0], entry.to_php(entry.from_entry(mail.payload, limits))
    except Unsendable:
        return spool.queues[0], mail.payload
