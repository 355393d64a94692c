"""The files of mails that are kept once in the spool: read when their mail's turn comes. Of those that several mails
have, the finished part is kept, so that a process reads and encodes each once."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from ..mail.email import Email
from ..mail.encoding import base64
from ..mail.frame import digests, with_blobs
from ..spool import Spool

IDLE: Final = 60.0
"""Seconds after which a part that nobody needed is let go."""

SEEN: Final = 1000
"""Files of which is known that a mail had them."""


@dataclass(slots=True)
class _Kept:
    part: bytes
    used_at: float


class Files:
    """Of one process, whose slots may ask at once. Keeps no more than `most` octets."""

    def __init__(self, spool: Spool, most: int) -> None:
        self._spool = spool
        self._most = most
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        """The least used first."""
        self._octets = 0
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._lock = threading.Lock()

    def fetched(self, email: Email) -> tuple[Email, Mapping[str, bytes]]:
        """The mail with the contents of its files, but for those of which the finished base64 part comes beside it, by
        digest.

        Raises `Unsendable` where one is gone from Redis, `SpoolError` where Redis is away.
        """
        wanted = digests(email)
        parts = self._parts(wanted)
        missing = [digest for digest in wanted if digest not in parts]
        contents = self._spool.blobs(missing) if missing else {}
        for digest in self._shared(contents):
            parts[digest] = self._keep(digest, base64(contents.pop(digest)))
        return with_blobs(email, contents, but=parts), parts

    def let_go(self) -> None:
        """Of what nobody needed for a while."""
        with self._lock:
            before = time.monotonic() - IDLE
            while self._kept and next(iter(self._kept.values())).used_at < before:
                self._drop_one()

    def _parts(self, wanted: Iterable[str]) -> dict[str, bytes]:
        """Those that are kept."""
        found = {}
        with self._lock:
            for digest in wanted:
                kept = self._kept.get(digest)
                if kept is not None:
                    self._kept.move_to_end(digest)
                    kept.used_at = time.monotonic()
                    found[digest] = kept.part
        return found

    def _shared(self, contents: Mapping[str, bytes]) -> list[str]:
        """Those that another mail had before, or that more than one waits for."""
        with self._lock:
            shared = [digest for digest in contents if digest in self._seen]
            for digest in contents:
                self._seen[digest] = None
                self._seen.move_to_end(digest)
            while len(self._seen) > SEEN:
                self._seen.popitem(last=False)
        others = [digest for digest in contents if digest not in shared]
        uses = self._spool.blob_uses(others) if others else {}
        return shared + [digest for digest in others if uses.get(digest, 0) > 1]

    def _keep(self, digest: str, part: bytes) -> bytes:
        with self._lock:
            if len(part) <= self._most and digest not in self._kept:
                self._kept[digest] = _Kept(part, time.monotonic())
                self._octets += len(part)
                while self._octets > self._most:
                    self._drop_one()
        return part

    def _drop_one(self) -> None:
        _, kept = self._kept.popitem(last=False)
        self._octets -= len(kept.part)
