"""The way back to the old daemon: what is not sent goes back to the legacy list, as it was and in its order."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ..errors import Unsendable
from ..mail import entry
from ..mail.email import Limits
from ..mail.frame import is_frame
from ..spool import Queries, Spool, Waiting, machine, owner
from ..spool.owner import BEAT_SECONDS, SILENT_SECONDS
from .chunks import in_chunks


@dataclass(frozen=True, slots=True)
class GivenBack:
    """`kept` stay in the spool: somebody has them already, or may have, so that the old daemon would double them. So do
    those that are `beyond` it: it would not send them as they are meant."""

    given: int
    kept: int
    beyond: int


def give_back(
    spool: Spool, queries: Queries, limits: Limits, dead: bool, progress: Callable[[int, int], None]
) -> GivenBack:
    """Calls `progress(done, of)` as it goes. Stopped half-way, the order still holds: run it again.

    Raises `SpoolError`.
    """
    waiting = queries.waiting(dead)
    nobodys = [item for item in waiting if not item[2].reached]
    for_it = [item for item in nobodys if not _is_beyond(item[2], time.time() * 1000)]
    given = in_chunks(entries(for_it, spool.queues[0], limits), spool.give_back, progress)
    return GivenBack(given, len(waiting) - len(nobodys), len(nobodys) - len(for_it))


def _is_beyond(mail: Waiting, now: float) -> bool:
    """The old daemon knows a text to some people, and sends it at once."""
    return not mail.source and (is_frame(mail.payload) or mail.since > now or 0 < mail.expires <= now)


def entries(waiting: Iterable[tuple[int, str, Waiting]], queue: str, limits: Limits) -> list[tuple[str, str, bytes]]:
    """(id, list, octets) of each, newest first: each goes to the tail, before the one that came after it. Mail of new
    code, which came from no list, goes to `queue`. `waiting` is oldest first."""
    return [(mail_id, mail.source or queue, _octets(mail, limits)) for _, mail_id, mail in reversed(list(waiting))]


def _octets(mail: Waiting, limits: Limits) -> bytes:
    """The original ones, or for mail of new code what a PHP producer would have pushed."""
    if mail.source:
        return mail.payload
    try:
        return entry.to_php(entry.from_entry(mail.payload, limits))
    except Unsendable:
        return mail.payload


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
