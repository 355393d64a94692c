"""What the sink has accepted. Mails are kept as they came, and looked at when a report is asked for."""

from __future__ import annotations

import re
from typing import Any, Final

TOKEN: Final = re.compile(rb"bench-[0-9a-f]+-[0-9]+")
HEADERS: Final = (b"from", b"to", b"subject", b"date", b"message-id")
LINE: Final = 998
KEPT: Final = 256 * 1024 * 1024
"""Octets of mail kept for the report; what comes after that is looked at as it arrives."""


class Ledger:
    """What was accepted. A report names each mail's token and time, and what was wrong with it."""

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self.count = 0
        self.octets = 0
        self.connections = 0
        self._kept: list[tuple[float, list[bytes], bytes, bool]] = []
        self._kept_octets = 0
        self._seen: list[tuple[str, float]] = []
        self._faults: dict[str, int] = {}

    def accept(self, at: float, recipients: list[bytes], content: bytes, stuffed: bool) -> None:
        self.count += 1
        self.octets += len(content)
        self._kept.append((at, recipients, content, stuffed))
        self._kept_octets += len(content)
        if self._kept_octets > KEPT:
            self._look()

    def fault(self, text: str) -> None:
        self._faults[text] = self._faults.get(text, 0) + 1

    def report(self) -> dict[str, Any]:
        """What came since the last report."""
        self._look()
        report = {
            "count": self.count,
            "octets": self.octets,
            "connections": self.connections,
            "seen": self._seen,
            "faults": self._faults,
        }
        self._begin()
        return report

    def _look(self) -> None:
        for at, recipients, content, stuffed in self._kept:
            if stuffed:
                content = content.replace(b"\r\n..", b"\r\n.")  # noqa: PLW2901
            token, faults = examine(content, recipients)
            self._seen.append((token, at))
            for fault in faults:
                self.fault(fault)
        self._kept = []
        self._kept_octets = 0


def examine(content: bytes, recipients: list[bytes]) -> tuple[str, list[str]]:
    """The token of a mail, and what is wrong with it."""
    faults = []
    breaks = content.count(b"\r\n")
    if content.count(b"\n") != breaks or content.count(b"\r") != breaks:
        faults.append("a bare CR or LF")
    if not content.endswith(b"\r\n"):
        faults.append("no line break at the end")
    if max(map(len, content.split(b"\r\n"))) > LINE:
        faults.append(f"a line over {LINE} octets")
    head, _, body = content.partition(b"\r\n\r\n")
    fields: dict[bytes, bytes] = {}
    for line in head.replace(b"\r\n ", b" ").replace(b"\r\n\t", b" ").split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() in fields:
            faults.append("a header twice")
        fields[name.lower()] = value
    faults += [f"no {name.decode()} header" for name in HEADERS if name not in fields]
    if any(recipient not in fields.get(b"to", b"") for recipient in recipients):
        faults.append("a recipient that is not in To")
    token = TOKEN.search(fields.get(b"subject", b""))
    if token is None:
        faults.append("no token in the subject")
    if not body.strip():
        faults.append("no body")
    return (token[0].decode() if token else ""), faults
