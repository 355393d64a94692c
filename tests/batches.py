"""Batches for tests, with what the worker's process would hand in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mailworker.delivery.attempt import Observer
from mailworker.delivery.back_off import Policy
from mailworker.delivery.batch import Batch
from mailworker.delivery.batch_limits import BatchLimits
from mailworker.delivery.breaker import Breaker, Seldom
from mailworker.delivery.compose import Compose
from mailworker.delivery.files import Files
from mailworker.delivery.log_lines import AttemptLog
from mailworker.delivery.settle import Settling
from mailworker.mail.address import Mailbox
from mailworker.mail.author import Author
from mailworker.mail.email import Limits
from mailworker.smtp.relay import Relay
from mailworker.smtp.warm import WarmConnection
from mailworker.spool import Taken

OWNER = "w/1.0"
SITE = Author(Mailbox("site@example.com"))


def batch_of(
    spool: Any, taken: Taken, limits: BatchLimits | None = None, observers: Sequence[Observer] | None = None,
    mail: Limits = Limits(),  # noqa: B008 - it is frozen
) -> Batch:  # fmt: skip
    """Of the owner `w/1.0`; its log is on, where no other observers are given."""
    warm = WarmConnection(Relay("127.0.0.1", 25))
    settling = Settling(spool, OWNER, "default", [AttemptLog(spool.part_of)] if observers is None else observers)
    compose = Compose(spool, SITE, mail, Files(spool, mail.mail))
    return Batch(
        taken, compose, Policy(), settling, Breaker(spool, warm.relay, Seldom()), warm, limits or BatchLimits(60)
    )
