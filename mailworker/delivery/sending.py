"""One batch on its way to the relay: over the warm connection, over another where that breaks, until all is sent or
there is no use in going on."""

from __future__ import annotations

from typing import Final

from ..errors import SmtpError, SpoolError
from ..smtp import session
from ..smtp.connection import Connection
from ..smtp.warm import WarmConnection
from .batch import Batch
from .breaker import Breaker
from .broken_session import Rest, what_broke
from .connection_limit import Places

LATER: Final = 1.0
"""Seconds for which mails wait that found no place at the relay."""


class Sending:
    """A batch on its way over the warm connection, until nothing of it is left or it may not begin more."""

    def __init__(self, batch: Batch, warm: WarmConnection, places: Places, breaker: Breaker) -> None:
        self._batch = batch
        self._warm = warm
        self._places = places
        self._breaker = breaker

    def run(self) -> None:
        """Raises `SpoolError`."""
        while self._batch.more() and self._over_one_connection():
            pass
        if self._batch.slower is not None:
            self._warm.drop()  # what it has enough of may be this session's mails
            self._relay_failed(self._batch.slower)

    def _over_one_connection(self) -> bool:
        """One connection's share of the batch. False where there is no use in going on now."""
        failure: SmtpError | None = None
        connection: Connection | None = None
        try:
            connection = self._connect()
        except SmtpError as error:
            failure = error
        # Outside the handler: an error of Redis must not carry what the relay said into a traceback.
        if failure is not None:
            return self._relay_failed(failure)
        if connection is None:
            self._batch.give_back(LATER)
            return False
        before = self._batch.answered
        fresh = connection.mails == 0
        failure = self._send(connection) or self._batch.crowd
        return failure is None or self._session_broke(failure, fresh, self._batch.answered > before)

    def _connect(self) -> Connection | None:
        """None where the relay has no place for it now, or Redis is away. Raises `SmtpError`."""
        try:
            return self._places.connect(self._batch.more)
        except SpoolError:
            self._batch.redis_is_away()
            return None

    def _send(self, connection: Connection) -> SmtpError | None:
        """What broke the session."""
        try:
            session.send(connection, self._batch)
        except SmtpError as error:
            return error
        finally:
            if connection.broken:
                self._warm.drop()
        return None

    def _session_broke(self, error: SmtpError, fresh: bool, answered: bool) -> bool:
        """The connection was lost between greeting and good-bye. True where the rest may go over a new one."""
        rest, blame = what_broke(error, fresh, answered)
        if rest is Rest.WAITS_FOR_A_PLACE:
            self._batch.crowd = None
            self._warm.drop()
        self._batch.lose(error.phase, blame)
        match rest:
            case Rest.GOES_ON:
                return True
            case Rest.WAITS_FOR_A_PLACE:
                return self._places.are_taken(error) or self._relay_failed(error)
            case Rest.WAITS_FOR_THE_RELAY:
                return self._relay_failed(error)

    def _relay_failed(self, error: SmtpError) -> bool:
        """No attempt of the mails that wait. Always False: there is no use in going on."""
        is_open = self._breaker.failed(error)
        self._batch.give_back(0 if is_open else 1)
        return False
