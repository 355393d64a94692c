"""Every error the package raises on purpose. All have one root and survive pickling.

A pool process hands its errors to its parent, so `args` are always the constructor's arguments.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterable


class MailworkerError(Exception):
    """The root of all errors raised on purpose."""


class SettingsError(MailworkerError, ValueError):
    """A setting is unknown or wrong. The text names the key and the problem, never a password."""


class Unsendable(MailworkerError, ValueError):
    """What was pushed or passed can never become a mail.

    `reason` is a code that a program may compare (see docs/operations.md), `detail` a sentence for a person.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail

    def __str__(self) -> str:
        return self.detail


class IdempotencyError(MailworkerError, ValueError):
    """Another mail was accepted under the same key: nothing is accepted of this call, or of this step of many. `index`
    is which of many it is."""

    def __init__(self, mail_id: str, index: int | None = None) -> None:
        super().__init__(mail_id, index)
        self.mail_id = mail_id
        self.index = index

    def __str__(self) -> str:
        which = "" if self.index is None else f"[{self.index}]: "
        return f"{which}idempotency_key: another mail was accepted under it: write a new key for a new mail"


class TemplateError(Unsendable):
    """A mail cannot be made from its template. The text names the file and the line, never what was passed to it."""

    def __init__(self, detail: str) -> None:
        reason = "bad_template"
        super().__init__(reason, detail)
        self.args = (detail,)


class ManyError(MailworkerError, ValueError):
    """`send_email.many` ended before its end: at the mail with this `index`, counted from 0. Those of `ids`, the first
    ones, are safe; none of the others was accepted, unless Redis did not say so in time. `__cause__` is what was wrong.
    """

    def __init__(self, problem: str, index: int, ids: tuple[str, ...] = ()) -> None:
        super().__init__(problem, index, ids)
        self.problem = problem
        self.index = index
        self.ids = ids

    def __str__(self) -> str:
        safe = f"the first {len(self.ids)} mails are in the spool" if self.ids else "no mail was accepted"
        return f"{self.problem} ({safe})"

    def after(self, ids: Iterable[str]) -> ManyError:
        """The same, of a call that has accepted these."""
        return ManyError(self.problem, self.index, tuple(ids))


class NotYet(MailworkerError):
    """The mail says that it is to wait for so many `seconds`."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


class SpoolError(MailworkerError):
    """Redis did not answer, or answered that it cannot write. Nothing was decided."""


class WrongFormat(SpoolError):
    """The spool in Redis is of another version's format. An older one passes: a worker migrates it."""


class NewerFormat(WrongFormat):
    """A newer version wrote the spool: this one would misread it, and stops."""


class SmtpError(MailworkerError, OSError):
    """The session with the relay failed before or between mails.

    `code` is the reply code, or 0 where there was no reply (time-out, reset, refused); `phase` is the step of
    the session (`connect`, `greeting`, `EHLO`, `STARTTLS`, `TLS`, `AUTH`, …); `configuration` is true where
    only the operator can mend it (refused login, bad certificate, STARTTLS not offered).
    """

    def __init__(self, phase: str, code: int, text: str, configuration: bool = False) -> None:
        super().__init__(phase, code, text, configuration)
        self.phase = phase
        self.code = code
        self.text = text
        self.configuration = configuration

    def __str__(self) -> str:
        return f"{self.phase}: {self.code} {self.text}" if self.code else f"{self.phase}: {self.text}"


class OutOfStep(SmtpError):
    """The relay said something that nobody asked for, or that answers something else than it should: from then on no
    reply can be told to belong to a certain command."""


class MailDeferred(MailworkerError):
    """This attempt did not succeed; the spool tries again. Tells Celery and Flower, so it holds no address."""


class MailFailed(MailworkerError):
    """The mail is a dead letter. `reason` is its code; addresses are never part of this error."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def where(error: BaseException) -> str:
    """The kind of a bug and the lines that led to it, the innermost first, and the same of the error before it. Their
    texts might quote a mail, and are left out."""
    before = error.__cause__ or error.__context__
    return _frames(error) + (f"; after {_frames(before)}" if before else "")


def _frames(error: BaseException) -> str:
    frames = reversed(traceback.extract_tb(error.__traceback__)[-8:])
    path = " < ".join(f"{frame.filename.rpartition('/')[2]}:{frame.lineno} in {frame.name}" for frame in frames)
    return f"{type(error).__name__} at {path or 'an unknown place'}"
