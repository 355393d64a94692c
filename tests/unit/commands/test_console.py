"""What the commands share: how an error ends a command, and what may reach a terminal."""

from __future__ import annotations

import errno

import click
import pytest
import redis
from click.testing import CliRunner
from redis import exceptions

from mailworker.commands.console import code_of, one_line, one_line_errors, seconds_of, short_name
from mailworker.errors import MailworkerError, SettingsError, SpoolError
from mailworker.findings import LATER, PROBLEM, SETTINGS


def caused(cause: Exception) -> SpoolError:
    error = SpoolError("Redis")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SettingsError("MAILWORKER_BATCH: no"), SETTINGS),
        (caused(exceptions.AuthenticationError("invalid username-password pair")), SETTINGS),
        (caused(exceptions.NoPermissionError("NOPERM no right")), SETTINGS),
        (caused(redis.ResponseError("DB index is out of range")), SETTINGS),
        (caused(redis.ConnectionError("refused")), LATER),
        (caused(redis.TimeoutError("time-out")), LATER),
        (caused(exceptions.BusyLoadingError("LOADING")), LATER),
        (caused(exceptions.OutOfMemoryError("OOM")), PROBLEM),
        (MailworkerError("else"), PROBLEM),
    ],
)
def test_the_exit_code_says_who_has_to_do_something(error: Exception, code: int) -> None:
    assert code_of(error) == code


@pytest.mark.parametrize(
    ("raised", "said", "code"),
    [
        (SettingsError("MAILWORKER_BATCH: no"), "mailworker: MAILWORKER_BATCH: no\n", SETTINGS),
        (MailworkerError("a\nb\x1b[2J"), "mailworker: a\nb [2J\n", PROBLEM),
        (click.UsageError("wrong"), None, 2),
        (
            OSError(errno.ENOSPC, "No space left on device"),
            "mailworker: what it says cannot be written: No space left on device\n",
            1,
        ),
    ],
)
def test_an_error_ends_the_command_with_its_line(raised: Exception, said: str | None, code: int) -> None:
    @click.command()
    @one_line_errors
    def command() -> None:
        raise raised

    result = CliRunner().invoke(command)
    assert result.exit_code == code
    assert said is None or result.stderr == said


def test_a_bug_is_told_by_its_place_and_not_by_its_text() -> None:
    @click.command()
    @one_line_errors
    def command() -> None:
        raise KeyError("someone@example.com")

    result = CliRunner().invoke(command)
    assert result.exit_code == 1
    assert result.stderr.startswith("mailworker: this is a bug, please report it: KeyError at test_console.py:")
    assert "example.com" not in result.stderr


@pytest.mark.parametrize(
    ("text", "line"), [("450 later", "450 later"), ("a\nb\tc", "a b c"), ("\x1b[2Jx\x9b", " [2Jx "), ("grün", "grün")]
)
def test_no_control_character_reaches_the_terminal(text: str, line: str) -> None:
    assert one_line(text) == line


@pytest.mark.parametrize(
    ("worker", "name"),
    [
        ("mail1:boot.1.2:812:77-abc", "mail1 (process 812)"),
        ("a:b:boot.1.2:812:77-abc", "a:b (process 812)"),
        ("w", "w"),
    ],
)
def test_a_worker_is_named_by_its_host_and_process(worker: str, name: str) -> None:
    assert short_name(worker) == name


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("15m", 900), ("2h", 7200), ("3d", 259_200)])
def test_a_span_is_a_number_with_a_unit(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "m", "1.5h", "-1s", "5 m", "1w"])
def test_what_is_none_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter):
        seconds_of(text)
