"""As whom mail may be sent, where a site says so. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from ..errors import Unsendable
from . import address


@dataclass(frozen=True, slots=True)
class Senders:
    """`allowed` are addresses and domains, in lower case; None for anybody."""

    allowed: frozenset[str] | None = None

    def check(self, field: str, sender: str) -> None:
        """Raises `Unsendable` for an address that is not among them."""
        if self.allowed is None:
            return
        lower = sender.lower()
        if lower not in self.allowed and lower.rpartition("@")[2] not in self.allowed:
            raise Unsendable(
                "sender_not_allowed", f"{field}: neither the address nor its domain is in MAILWORKER_SENDERS"
            )


ANYBODY: Final = Senders()


def read(texts: Iterable[str], own: str) -> Senders:
    """Of addresses and domains as an operator writes them, with the site's own address; of none: anybody. Raises
    `ValueError`."""
    allowed = frozenset(map(_entry, texts))
    return Senders(allowed | {own.lower()}) if allowed else ANYBODY


def _entry(text: str) -> str:
    local, _, domain = text.strip().rpartition("@")
    try:
        checked = address.check(f"{local or 'x'}@{domain}").lower()
    except Unsendable:
        raise ValueError(
            f"{text.strip()!r:.60} is no address and no domain; expected some with commas between"
        ) from None
    return checked if local else checked.rpartition("@")[2]
