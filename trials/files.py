"""Mails with files that are kept once: what they hold, whether it arrives whole, and whether the spool counts right."""

from __future__ import annotations

import binascii
import hashlib
import re
from typing import Any, Final

HEADER: Final = "X-Trial-Files"
"""Of each mail with files: the beginnings of their digests."""

SHARED: Final = hashlib.shake_256(b"a file that all mails have").digest(100_000)

_MARK: Final = 16
"""Hex digits."""

_WANTED = re.compile(rb"^X-Trial-Files: ([0-9a-f ]+)\r\n", re.MULTILINE)
_FILE = re.compile(rb"\r\nContent-Disposition: attachment.*?\r\n\r\n(.*?)\r\n--", re.DOTALL)


def mail_with_files(token: str, address: str) -> Any:
    """The arguments of `send_email`: every mail has the one that all have, and every second one of its own."""
    files = {"shared.bin": SHARED}
    if int(token[-1], 16) % 2:
        files["own.bin"] = hashlib.shake_256(token.encode()).digest(9000)
    return {
        "to": {address: "A name"},
        "subject": f"Trial {token}",
        "body": f"The body of {token}.",
        "attachments": list(files.items()),
        "headers": {HEADER: " ".join(map(_mark, files.values()))},
    }


def whole(content: bytes) -> bool:
    """Has this message, as the relay got it, all its files?"""
    wanted = _WANTED.search(content)
    if wanted is None:
        return True
    found = [_mark(binascii.a2b_base64(octets)) for octets in _FILE.findall(content)]
    return sorted(found) == sorted(wanted[1].decode().split())


def _mark(octets: bytes) -> str:
    return hashlib.sha256(octets).hexdigest()[:_MARK]


def faults(redis: Any, prefix: str) -> list[str]:
    """Files that are lost, left over or wrongly counted, for people. What expires was never needed."""
    needed: dict[str, int] = {}
    for key in redis.scan_iter(prefix + "mail:*", count=1000):
        for digest in (redis.hget(key, "blobs") or b"").decode().split():
            needed[digest] = needed.get(digest, 0) + 1
    counted = {digest.decode(): int(uses) for digest, uses in redis.hgetall(prefix + "blobs").items()}
    there = {key.decode().rpartition(":")[2]: redis.ttl(key) for key in redis.scan_iter(prefix + "blob:*", count=1000)}
    found = [
        f"{digest[:8]} is needed by {needed.get(digest, 0)} and counted for {counted.get(digest, 0)}"
        for digest in sorted(needed.keys() | counted.keys())
        if needed.get(digest, 0) != counted.get(digest, 0)
    ]
    found += [f"{digest[:8]} is needed and not there" for digest in sorted(needed.keys() - there.keys())]
    found += [f"{digest[:8]} would expire" for digest in sorted(needed) if there.get(digest, -1) != -1]
    return found + [
        f"{digest[:8]} is left over" for digest in sorted(there) if there[digest] == -1 and digest not in needed
    ]
