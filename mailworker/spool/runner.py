"""Runs the scripts: once more where that is harmless, and never late."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import redis

from ..errors import SpoolError
from . import redis_errors as refusal
from .connect import UNSENT, Caller
from .constants import SPOOL_FORMAT, Constants
from .format import met, refuse, refuse_older
from .keys import Keys
from .script_text import Script, encode, scripts
from .scripts import WITH_LISTS, CallOff, Migrate

CALLED_OFF: Final = 1000
"""Numbers of lost calls that one script takes."""

ASK_AGAIN_SECONDS: Final = 60.0
"""After so long it is tried whether a list that was forbidden still is."""

logger = logging.getLogger(__name__)

_UNREACHABLE = (redis.ConnectionError, redis.TimeoutError, redis.exceptions.BusyLoadingError)


class Runner:
    """Raises `SpoolError` when Redis is away, full or read-only."""

    def __init__(self, client: redis.Redis, lists: Sequence[str], keys: Keys, constants: Constants) -> None:
        self.client = client
        self.scripts: Mapping[type[Any], Script] = scripts(keys.prefix, constants)
        self._call = Caller(client)
        self._lost: dict[bytes, None] = {}
        """The numbers of calls whose answers were lost, to be called off before the next call."""
        self._lists = list(lists)
        self._allowed = self._lists
        self._asked = 0.0

    def run(self, arguments: Any, repeat: bool = True) -> Any:
        """The answer of the script with these `arguments`; see `scripts`. With `repeat` it is run once more if the
        connection was lost."""
        if type(arguments) in WITH_LISTS:
            return self._run_on_lists(arguments, repeat)
        return self._run((), arguments, repeat)

    def read(self, *command: Any) -> Any:
        return self._with_patience(lambda: self._call(*command), repeat=True)

    def read_many(self, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Their answers in this order, with one round trip."""
        answers: list[Any] = self._with_patience(lambda: self._call.many(commands), repeat=True)
        return answers

    def migrate(self) -> None:
        """Makes the spool one of this version's format, if it is not. Raises `WrongFormat` where that must wait."""
        self._with_patience(self._migrate, repeat=True)

    def _run_on_lists(self, arguments: Any, repeat: bool) -> Any:
        """With the legacy lists as keys, without those that this user of Redis may not touch: they stop no other. Redis
        refuses a script for one such key before it runs."""
        if self._allowed is not self._lists and time.monotonic() - self._asked > ASK_AGAIN_SECONDS:
            self._allowed = self._lists
        try:
            return self._run(self._allowed, arguments, repeat)
        except SpoolError as error:
            if refusal.code(error) != "NOPERM":
                raise
            allowed = [queue for queue in self._allowed if self._may(queue)]
            if allowed == self._allowed:
                raise
            self._allowed, self._asked = allowed, time.monotonic()
            return self._run(allowed, arguments, repeat)

    def _may(self, queue: str) -> bool:
        try:
            self._call("LLEN", queue)
        except redis.exceptions.NoPermissionError:
            return False
        except redis.RedisError:
            return True
        return True

    def _run(self, keys: Sequence[str], arguments: Any, repeat: bool) -> Any:
        """What was lost may still arrive, minutes later: before anything else is run, it is called off."""

        def run() -> Any:
            if self._lost:
                self._call_off()
            return self._in_this_format(keys, arguments, repeat)

        return self._with_patience(run, repeat)

    def _call_off(self) -> None:
        lost = list(self._lost)
        for begin in range(0, len(lost), CALLED_OFF):
            part = lost[begin : begin + CALLED_OFF]
            self._evaluate((), CallOff(part), kept=True)
            for number in part:
                self._lost.pop(number, None)

    def _in_this_format(self, keys: Sequence[str], arguments: Any, kept: bool) -> Any:
        """A spool of an older format, and one that is not there yet, is migrated first."""
        try:
            return self._evaluate(keys, arguments, kept)
        except redis.ResponseError as error:
            found = met(error)
            if found is None:
                raise
        refuse(found)
        self._migrate()
        return self._evaluate(keys, arguments, kept)

    def _migrate(self) -> None:
        found, at_work, mails = self._evaluate((), Migrate(), kept=True)
        refuse(found, at_work)
        if found < SPOOL_FORMAT:
            refuse_older()
        if mails:
            logger.warning("the spool in Redis was of an older format and is migrated, with %d mails", mails)

    def _evaluate(self, keys: Sequence[str], arguments: Any, kept: bool) -> Any:
        script = self.scripts[type(arguments)]
        call: Callable[..., Any] = self._call if kept else self.client.execute_command
        number = os.urandom(9)
        command = (len(keys), *keys, number, *encode(arguments))
        try:
            try:
                return call("EVALSHA", script.digest, *command)
            except redis.exceptions.NoScriptError:
                return call("EVAL", script.text, *command)
        except redis.ResponseError:
            raise
        except BaseException as error:  # a time limit, too
            if not isinstance(arguments, CallOff) and UNSENT not in getattr(error, "__notes__", ()):
                self._lost[number] = None
            raise

    def _with_patience(self, run: Callable[[], Any], repeat: bool) -> Any:
        for last in (not repeat, True):
            try:
                return run()
            except _UNREACHABLE as error:
                if last:
                    raise refusal.translated(error) from error
                time.sleep(0.05)
            except redis.RedisError as error:
                if refusal.code(error) == "READONLY":
                    # A master that became a replica keeps its connections: find the new one.
                    self.client.connection_pool.disconnect()
                raise refusal.translated(error) from error
        raise AssertionError("unreachable")
