"""What Redis said is told in its own words, and with nobody's data."""

from __future__ import annotations

import pytest
import redis
from redis import exceptions

from mailworker.errors import SpoolError
from mailworker.spool import redis_errors as refusal


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (exceptions.OutOfMemoryError("command not allowed"), "OOM", "OOM command not allowed"),
        (exceptions.ReadOnlyError("You can't write"), "READONLY", "READONLY You can't write"),
        (redis.ResponseError("MISCONF Redis is configured to save"), "MISCONF", "MISCONF Redis is configured to save"),
        (redis.ResponseError("NOREPLICAS Not enough"), "NOREPLICAS", "NOREPLICAS Not enough"),
        (exceptions.BusyLoadingError("Redis is loading"), "LOADING", "LOADING Redis is loading"),
        (redis.ResponseError("BUSY Redis is busy"), "BUSY", "BUSY Redis is busy"),
        (redis.ResponseError("UNKILLABLE Sorry"), "UNKILLABLE", "UNKILLABLE Sorry"),
        (exceptions.NoPermissionError("this user"), "NOPERM", "NOPERM this user"),
        (exceptions.MasterDownError("Link with MASTER"), "MASTERDOWN", "MASTERDOWN Link with MASTER"),
        (
            redis.ResponseError("Error running script (call to f_1): @user_script:9: -OOM command not allowed"),
            "OOM",
            "Error running script (call to f_1): @user_script:9: -OOM command not allowed",
        ),
        (
            redis.ResponseError("Command # 1 (LPUSH mailworker secret) of pipeline caused error: MISCONF no"),
            "MISCONF",
            "MISCONF no",
        ),
        (
            redis.ResponseError("unknown command 'EVALSHA', with args beginning with: 'secret'"),
            "",
            "ResponseError: unknown command 'EVALSHA'",
        ),
        (
            redis.ResponseError(
                "NOREPLICAS Not enough good replicas to write. script: " + 40 * "a" + ", on @user_script:52."
            ),
            "NOREPLICAS",
            "NOREPLICAS Not enough good replicas to write",
        ),
        (exceptions.AuthenticationError("Authentication required."), "NOAUTH", "NOAUTH Authentication required."),
        (exceptions.AuthenticationError("invalid pair"), "WRONGPASS", "WRONGPASS invalid pair"),
        (redis.ConnectionError("refused"), "", "ConnectionError: refused"),
        (redis.ResponseError("a\r\nb"), "", "ResponseError: a  b"),
        (ValueError("secret"), "", "ValueError"),
    ],
)
def test_code_and_words(error: Exception, code: str, words: str) -> None:
    assert refusal.code(error) == code
    assert refusal.words(error) == words


def test_they_are_found_behind_our_own_error() -> None:
    error = SpoolError("Redis: …")
    error.__cause__ = exceptions.OutOfMemoryError("command not allowed")
    assert refusal.is_full(error)
    assert refusal.words(error) == "OOM command not allowed"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (redis.ResponseError("NOREPLICAS Not enough"), "bring the replica back; until then mail waits (NOREPLICAS Not"),
        (
            exceptions.AuthenticationError("Authentication required."),
            "write user and password into MAILWORKER_REDIS_URL",
        ),
        (
            exceptions.AuthenticationError("invalid"),
            "mend user and password in MAILWORKER_REDIS_URL (WRONGPASS invalid)",
        ),
        (
            redis.ConnectionError("refused"),
            "look whether it runs, and at MAILWORKER_REDIS_URL (ConnectionError: refused)",
        ),
        (redis.TimeoutError("late"), "look whether it runs"),
        (redis.ResponseError("DB index is out of range"), "Redis: "),
    ],
)
def test_a_person_is_told_what_to_do(error: Exception, words: str) -> None:
    ours = SpoolError("Redis: what it said")
    ours.__cause__ = error
    assert words in refusal.told(ours)
