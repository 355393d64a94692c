"""A mail as values, whatever it came as and whatever becomes of it."""

from __future__ import annotations

from dataclasses import dataclass

from .address import Mailbox


@dataclass(frozen=True, slots=True)
class Limits:
    """The largest mail that is sent, in octets: the whole entry, and its recipients' addresses and names."""

    mail: int = 25 * 1024 * 1024
    recipients: int = 64 * 1024


@dataclass(frozen=True, slots=True)
class Email:
    """One mail as its author meant it. Text is octets: what is not UTF-8 arrives as it came."""

    to: tuple[Mailbox, ...]
    subject: bytes
    body: bytes
