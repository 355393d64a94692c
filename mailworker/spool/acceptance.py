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

FILES_OF_A_STEP: Final = 16 * 1024 * 1024
"""Octets, each file once: what is put there first must still be there when the last of them is."""

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
            self._stage([digest.decode() for digest in missing], blobs)
            answer, missing = ask()
            if not missing:
                return answer
        raise SpoolError("Redis does not keep a file of this mail for as long as it takes to accept it: see its memory")

    def _stage(self, digests: Iterable[str], blobs: Mapping[str, bytes]) -> None:
        """Small ones with one round trip. One that is there already stays as it is: others may need it."""
        commands: list[tuple[Any, ...]] = []
        octets = 0
        for digest in digests:
            content = blobs[digest]
            if commands and octets + len(content) > STEP[1]:
                self._runner.read_many(commands)
                commands, octets = [], 0
            commands.append(("SET", self._keys(Key.BLOB, digest), content, "NX", "EX", STAGED_SECONDS))
            octets += len(content)
        self._runner.read_many(commands)


def steps(mails: Iterable[New], mails_at_most: int = STEP[0], octets: int = STEP[1]) -> Iterator[list[New]]:
    """Such as one script accepts: at least one mail each, and no more files than can be put there in time."""
    step: list[New] = []
    files: set[str] = set()
    size = size_of_files = 0
    for mail in mails:
        more = sum([len(content) for digest, content in mail.blobs.items() if digest not in files]) if mail.blobs else 0
        if step and (
            len(step) >= mails_at_most
            or size + len(mail.payload) > octets
            or (more and size_of_files + more > FILES_OF_A_STEP)
        ):
            yield step
            step, files, size, size_of_files = [], set(), 0, 0
            more = sum(map(len, mail.blobs.values()))
        step.append(mail)
        size, size_of_files = size + len(mail.payload), size_of_files + more
        files |= mail.blobs.keys()
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
