"""What ends a demo early. Both end it in order: nothing is left running."""

from __future__ import annotations

from ..errors import MailworkerError


class DemoError(MailworkerError):
    """The demo cannot go on. The text says why, and what to do about it where that is known."""


class Stopped(Exception):
    """Somebody asked the demo to stop: Ctrl-C or a signal."""
