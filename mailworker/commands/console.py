"""What the commands share. Imports what it needs when it is called, so that `mailworker --help` is quick."""

from __future__ import annotations

import errno
import io
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import TYPE_CHECKING, NoReturn, ParamSpec, TypeVar

import click

if TYPE_CHECKING:
    from ..spool import Queries, Spool

P = ParamSpec("P")
R = TypeVar("R")

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def one_line_errors(command: Callable[P, R]) -> Callable[P, R]:
    """What went wrong, as one line on standard error and an exit code (see `findings`); never a traceback for a known
    error."""

    @wraps(command)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        from ..errors import MailworkerError  # noqa: PLC0415

        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):  # a terminal that cannot show a character gets its escape
                stream.reconfigure(errors="backslashreplace")
        try:
            return command(*args, **kwargs)
        except MailworkerError as error:
            fail(explained(error), code_of(error))
        except (click.exceptions.Exit, click.ClickException, click.Abort, BrokenPipeError):
            raise  # click's own ways to end
        except OSError as error:
            if error.errno not in _FULL:
                _bug(error)
            fail(f"what it says cannot be written: {error.strerror}", 1)
        except Exception as error:  # noqa: BLE001 - a bug, or strange records: no mail on the terminal
            _bug(error)

    return wrapper


def _bug(error: Exception) -> NoReturn:
    from ..errors import where  # noqa: PLC0415

    fail(f"this is a bug, please report it: {where(error)}", 1)


def fail(text: str, code: int) -> NoReturn:
    """Ends the command with its text on standard error: one line, but for what the demo's children said last."""
    click.echo("mailworker: " + "\n".join(one_line(line) for line in text.splitlines()), err=True)
    sys.exit(code)


def code_of(error: Exception) -> int:
    """The exit code for an error: is it a setting, something that passes, or neither?"""
    import redis  # noqa: PLC0415

    from ..errors import SettingsError  # noqa: PLC0415
    from ..findings import LATER, PROBLEM, SETTINGS  # noqa: PLC0415
    from ..spool import redis_errors  # noqa: PLC0415

    cause, code = error.__cause__, redis_errors.code(error)
    if isinstance(error, SettingsError) or code in redis_errors.LOGIN:
        return SETTINGS
    if isinstance(cause, redis.ResponseError) and "DB index" in str(cause):
        return SETTINGS
    away = not code and isinstance(cause, redis.ConnectionError | redis.TimeoutError)
    return LATER if away or code in redis_errors.PASSES else PROBLEM


def explained(error: Exception) -> str:
    """The line for a person."""
    from ..errors import SpoolError  # noqa: PLC0415
    from ..spool import redis_errors  # noqa: PLC0415

    return redis_errors.told(error) if isinstance(error, SpoolError) else str(error)


def one_line(text: str) -> str:
    """What a relay said may hold anything: no control character reaches the terminal."""
    return "".join(character if character.isprintable() else " " for character in text)


def short_name(worker: str) -> str:
    """A worker's name for people: its host and process id."""
    parts = worker.split(":")
    return f"{':'.join(parts[:-3])} (process {parts[-2]})" if len(parts) > 3 else worker


def seconds_of(text: str) -> float:
    """The seconds in `90s`, `15m`, `2h` or `3d`. Raises `click.BadParameter`."""
    match = re.fullmatch(r"(\d+)([smhd])", text)
    if match is None:
        raise click.BadParameter("expected a number and one of s, m, h, d, as in 15m")
    return float(int(match[1]) * _UNITS[match[2]])


@contextmanager
def progress_bar(label: str) -> Iterator[Callable[[int, int], None]]:
    """On standard error. Gives a function that is told how many are done, and of how many."""
    with click.progressbar(length=1, label=label, file=sys.stderr) as bar:

        def progress(done: int, of: int) -> None:
            bar.length = of
            bar.update(done - bar.pos)

        yield progress


def make_spool() -> Spool:
    """Raises `SettingsError`."""
    from .. import runtime  # noqa: PLC0415

    return runtime.make_spool(runtime.settings())


def make_queries() -> Queries:
    """Raises `SettingsError`."""
    from .. import runtime  # noqa: PLC0415

    return runtime.make_queries(runtime.settings())
