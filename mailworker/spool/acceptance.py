"""How new code's mail gets into the spool, one or many with one script, and the files that go with it.

A large file is kept once for all mails that have it, under the digest of its octets. It never passes through a script:
where one is missing, the script says so and does nothing, the file is put there with a command of its own, and the
script is asked again. What was put there and is needed by no record is gone after a minute.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from ..errors import IdempotencyError, SpoolError
from . import scripts
from .keys import Key, Keys
from .records import Accepted, New
from .runner import Runner

logger = logging.getLogger(__name__)

STEP: Final = (250, 1024 * 1024)
"""Mails and octets that one script accepts, at most: Redis does nothing else meanwhile."""

STAGED_SECONDS: Final = 60

TOKEN: Final = 9
"""Octets; the scripts know it, too."""

ROUNDS: Final = 20
"""In a Redis that keeps what it is given one is enough, but for a file that others need no more at that moment."""


class Acceptance:
    """Raises `SpoolError` when Redis is away, full or read-only: nothing was accepted then."""

    def __init__(self, runner: Runner, keys: Keys) -> None:
        self._run = runner.run
        self._runner = runner
        self._keys = keys

    def one(self, mail: New) -> Accepted:
        """Raises `IdempotencyError` where another mail has its id."""
        arguments = scripts.Accept(
            mail.id, mail.payload, _wait(mail), mail.keyed, os.urandom(TOKEN) + mail.digest, mail.expires,
            " ".join(mail.blobs) if mail.blobs else "",
        )  # fmt: skip
        new, ring, why, *missing = self._run(arguments)
        if missing:
            new, ring, why, *_ = self._with_blobs(missing, mail.blobs, lambda: self._missing_of(arguments))
        if new:
            return Accepted(new.decode(), bool(ring))
        if why == b"another":
            raise IdempotencyError(mail.id)
        _tell(mail, why.decode())
        return Accepted(mail.id, ring=False, new=False)

    def many(self, mails: Sequence[New]) -> list[Accepted]:
        """All of them or none. Raises `IdempotencyError` with the index of the one whose id another mail has."""
        if not mails:
            return []
        arguments = scripts.AcceptMany(
            os.urandom(TOKEN), [mail.id for mail in mails], [mail.payload for mail in mails], list(map(_wait, mails)),
            [int(mail.keyed) for mail in mails], [mail.digest for mail in mails], [mail.expires for mail in mails],
            [" ".join(mail.blobs) for mail in mails],
        )  # fmt: skip
        why, found, ring = self._run(arguments)
        if why == b"missing":
            why, found, ring = self._with_blobs(found, _of_all(mails), lambda: self._missing_of_many(arguments))
        if why == b"another":
            raise IdempotencyError(mails[found[0] - 1].id, found[0] - 1)
        return [
            Accepted(name.decode() or mail.id, number == ring, bool(name))
            for number, (mail, name) in enumerate(zip(mails, found, strict=True), 1)
        ]

    def _missing_of(self, arguments: scripts.Accept) -> tuple[Any, Sequence[bytes]]:
        answer = self._run(arguments)
        return answer, answer[3:]

    def _missing_of_many(self, arguments: scripts.AcceptMany) -> tuple[Any, Sequence[bytes]]:
        answer = self._run(arguments)
        return answer, answer[1] if answer[0] == b"missing" else ()

    def _with_blobs(
        self, missing: Sequence[bytes], blobs: Mapping[str, bytes], ask: Callable[[], tuple[Any, Sequence[bytes]]]
    ) -> Any:
        """Puts there what is missing and asks again, until nothing is."""
        for _ in range(ROUNDS):
            for digest in missing:
                self._stage(digest.decode(), blobs)
            answer, missing = ask()
            if not missing:
                return answer
        raise SpoolError("Redis does not keep a file of this mail for as long as it takes to accept it: see its memory")

    def _stage(self, digest: str, blobs: Mapping[str, bytes]) -> None:
        """One that is there already stays as it is: others may need it."""
        self._runner.read("SET", self._keys(Key.BLOB, digest), blobs[digest], "NX", "EX", STAGED_SECONDS)


def steps(mails: Iterable[New], mails_at_most: int = STEP[0], octets: int = STEP[1]) -> Iterator[list[New]]:
    """Such as one script accepts: at least one mail each."""
    step: list[New] = []
    size = 0
    for mail in mails:
        if step and (len(step) >= mails_at_most or size + len(mail.payload) > octets):
            yield step
            step, size = [], 0
        step.append(mail)
        size += len(mail.payload)
    if step:
        yield step


def _wait(mail: New) -> int:
    return max(0, round(mail.delay * 1000))


def _of_all(mails: Sequence[New]) -> dict[str, bytes]:
    return {digest: octets for mail in mails for digest, octets in mail.blobs.items()}


def _tell(mail: New, why: str) -> None:
    """The same mail once more is what an id is for; where nobody can tell that it is the same, a person shall look."""
    level = logging.INFO if mail.digest else logging.WARNING
    logger.log(level, "mail %r is not accepted again: the first one %s", mail.id[:200], why)
