"""The scripts' arguments. `Take` is what `lua/take.lua` is called with: each field is a local of its name there.

How they get there is told in `script_text`. Of a script that has the legacy lists as its keys these are the local
`lists`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final, NamedTuple


class Accept(NamedTuple):
    """A mail of new code becomes a record.

    Returns (its id where it is new or else '', 1 if the caller shall ring, why it is not accepted: `missing`, `another`
    or what became of the first one; and then the blobs that are missing).
    """

    id: str
    payload: bytes
    wait_ms: int
    chosen: bool
    """By the caller: then it accepts no second mail within a window."""
    mark: bytes
    """Nine octets of this call's own, the same where it is repeated; and behind them a digest of what the mail is, in
    16 octets, or nothing: another one under the same chosen id is told."""
    expires: int
    """By when it is to be sent, in ms; 0 for whenever."""
    blobs: str
    """The digests of those that it needs, with blanks between."""


class AcceptMany(NamedTuple):
    """The same of several, all or none.

    Returns ('', each one's id where it is new or else '', the number of the one that the caller shall ring for or 0);
    or, where none is accepted: ('missing', the blobs that are missing, 0), ('another', its number, 0).
    """

    token: bytes
    """Nine octets of this step's own, the same where the call is repeated."""
    ids: Sequence[str]
    payloads: Sequence[bytes]
    waits_ms: Sequence[int]
    chosen: Sequence[int]
    digests: Sequence[bytes]
    expires: Sequence[int]
    blobs: Sequence[str]


class Beat(NamedTuple):
    """The pulse of a worker and of these owners.

    Returns all owners, each followed by its beats.
    """

    worker: str
    size: int
    """Of its pool."""
    owners: Sequence[str]


class CallOff(NamedTuple):
    """Numbers of calls that are given up. Where they have not arrived yet, they do nothing when they do."""

    numbers: Sequence[bytes]


class Claim(NamedTuple):
    """Entries of the lists become records, and what is due is looked at.

    Returns (ids to ring together, ids to ring each alone, pool children, 1 if the lock is ours, 1 if the one id is
    the bridge's to deliver and the lock is given back, what was found abandoned).
    """

    owner: str
    token: str
    """Of who rang, or ''."""
    most: int
    most_octets: int
    random: str
    """20 hex digits, the end of the ids."""
    when_full: bool
    """To go on in a Redis that is full: without it the first write is refused."""


class Connected(NamedTuple):
    """This owner is connected to the relay.

    Returns (1, how many connections it bears or 0).
    """

    relay: str
    owner: str


class Disconnected(NamedTuple):
    """This owner's place at the relay is free."""

    relay: str
    owner: str


class Drop(NamedTuple):
    """Dead letters are gone for good.

    Returns how many.
    """

    ids: Sequence[str]


class GiveBack(NamedTuple):
    """Mails go back to their lists, newest first.

    Returns how many.
    """

    ids: Sequence[str]
    sources: Sequence[str]
    payloads: Sequence[bytes]


class Hasten(NamedTuple):
    """What waits for its next attempt is due now: these, or `most` of all that wait, but for the first ones.

    Returns (how many, how many were looked at and left, 1 if a breaker was open and is probed).
    """

    probe: bool
    ids: Sequence[str] = ()
    skip: int = 0
    most: int = 0


class Look(NamedTuple):
    """Is there work for the bridge? Then its lock is taken.

    Returns (1 if the caller has the lock now and must ring, ms until the next look, 1 if the lists are empty).
    """

    token: str


class MayConnect(NamedTuple):
    """Has the relay a place for one more?

    Returns (1 if this owner may connect, how many connections it bears or 0).
    """

    relay: str
    owner: str


class Migrate(NamedTuple):
    """Makes the spool one of this version's format.

    Returns (the format it has now, how many workers of an older version are at work, so that nothing was done, how
    many mails were moved).
    """


class Refused(NamedTuple):
    """A mail was refused in words that speak of the site and not of the mail: it is a dead letter by now.

    Returns (1 if it is the configuration, ms until the next probe, 1 if this call opened the breaker, mails that
    went back).
    """

    relay: str
    id: str
    said: str
    """The same words and the same step are the same."""
    enough: int
    """So many in a row open the breaker."""
    text: str
    place: str


class RelayFailed(NamedTuple):
    """There is no working session with the relay.

    Returns (1 if the breaker is open, ms until the next probe, 1 if this call opened it or was its probe).
    """

    relay: str
    text: str
    configuration: bool
    """Only the operator can mend it."""
    place: str
    slower: bool
    """It takes so much in a time and no more."""


class RelayFull(NamedTuple):
    """The relay refused a connection.

    Returns (1 if others are connected and work, so that this is no outage, how many connections it bears or 0).
    """

    relay: str
    owner: str
    wordless: bool
    """It did not say why."""


class RelayWorks(NamedTuple):
    """The relay took a mail.

    Returns 1 if this call closed the breaker.
    """

    relay: str


class Release(NamedTuple):
    """What this owner has in hand goes back at once.

    Returns (how many mails, what was found abandoned).
    """

    owner: str
    died: bool
    """Its process: the attempts count."""


class Retry(NamedTuple):
    """Dead letters are tried again from now on, with their history.

    Returns how many.
    """

    ids: Sequence[str]


class Settle(NamedTuple):
    """Settles what ended and commits what comes next.

    Returns (the ids that may go, how many connections the relay bears: 0 where that is not limited, or before the end
    of the batch).
    """

    relay: str
    owner: str
    sent: Sequence[str]
    commit: Sequence[str]
    outcomes: Sequence[str]
    """All others, as JSON: see `settlement`."""
    end_of_batch: bool


class Take(NamedTuple):
    """An owner takes mails in hand.

    Returns (records, the relay to send them through or '' where none takes mail, 1 if it failed of late, 1 if the
    caller must ring the bridge, now in ms, what was found abandoned or expired); a record is (id, payload, size, at,
    tries, rcpt, since, origin, when it expires: 0 for never, -1 for never and an entry of a list), the payload empty
    where it is too large for a mail or for a script.
    """

    owner: str
    token: str
    """To ring the bridge with."""
    ids: Sequence[str]


class Unlock(NamedTuple):
    """The doorbells of this bridge are out.

    Returns 1 if there is more to do now; else the lock is given back, and whoever sees work next rings.
    """

    owner: str


class Wake(NamedTuple):
    """The doorbells for these died with the process that had them in hand.

    Returns how many are due now.
    """

    ids: Sequence[str]


ALL: Final[tuple[Any, ...]] = (
    Accept, AcceptMany, Beat, CallOff, Claim, Connected, Disconnected, Drop, GiveBack, Hasten, Look, MayConnect,
    Migrate, Refused, RelayFailed, RelayFull, RelayWorks, Release, Retry, Settle, Take, Unlock, Wake,
)  # fmt: skip

WITH_LISTS: Final = frozenset({Beat, Claim, Look, Take, Unlock})
"""Their keys are the legacy lists."""

IN_ANY_FORMAT: Final = frozenset({CallOff, Migrate, Settle})
"""All others refuse to run in a spool of another format than theirs. What was taken is settled, once what was lost is
called off: no spool is migrated while a worker lives."""


def name_of(script: type[Any]) -> str:
    """`give_back` of `GiveBack`: the name of its file."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", script.__name__).lower()
