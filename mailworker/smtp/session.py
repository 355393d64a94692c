"""Sends mails over an open connection, the best way that the relay announced.

The caller hands over a `Journal`: it gives the mails, is asked to commit those whose content is about to leave, and is
told each verdict. An exception leaves what is committed and has no verdict in doubt; the rest was not sent.
"""

from __future__ import annotations

from ..errors import OutOfStep, SmtpError
from .bdat import stream
from .connection import Connection
from .data import one_by_one
from .journal import Journal


def send(connection: Connection, journal: Journal) -> None:
    """Sends what the journal gives until it gives no more, or the connection is closed or has carried `relay.mails`.

    Raises `SmtpError` when the session breaks, and when the relay ends it (421); the connection is then `broken`.
    `configuration` is true where the relay wants a login.
    """
    try:
        if connection.chunking:
            stream(connection, journal)
        if not connection.chunking and not connection.broken:
            one_by_one(connection, journal)
    except BaseException as error:
        # Even QUIT must not follow what was broken off: a relay would take it for the rest of a BDAT chunk. And after a
        # time limit, or a bug, the replies still to come belong to nobody.
        connection.break_off()
        if not isinstance(error, SmtpError):
            raise
        if isinstance(error, OutOfStep):
            connection.mistrust("PIPELINING")
        raise
    finally:
        connection.used()
