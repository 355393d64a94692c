"""What Celery says of a task holds no mail, whoever sent it."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from mailworker.worker.privacy import FailedTasks, UnreadableMessages, redacted_arguments, redacted_error

ADDRESS = "someone@example.com"


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [((), "()"), ([], "()"), (None, "()"), ({}, "{}"), ((ADDRESS,), "(hidden)"), ({"to": ADDRESS}, "(hidden)")],
)
def test_arguments_are_hidden_where_there_are_any(arguments: Any, shown: str) -> None:
    assert redacted_arguments(arguments) == shown


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        ("MailFailed('expired')", "MailFailed('expired')"),
        ("WorkerLostError('signal 9')", "WorkerLostError('signal 9')"),
        (f"Unsendable('bad_address', 'to: {ADDRESS}')", "Unsendable((hidden))"),
        (f"KeyError('{ADDRESS}')", "KeyError((hidden))"),
    ],
)
def test_an_error_is_shown_whole_only_where_it_holds_no_address(error: str, shown: str) -> None:
    assert redacted_error(error) == shown


def record(message: str, *args: Any, error: Exception | None = None) -> logging.LogRecord:
    info = (type(error), error, error.__traceback__) if error else None
    return logging.LogRecord("celery", logging.ERROR, __file__, 1, message, args, info)


@pytest.mark.parametrize(
    "said",
    [
        record("Received and deleted unknown message.\n\nThe full contents of the message body was:\n%s", ADDRESS),
        record("Can't decode message body: %r (type:%r)\n\nbody: {4}", "x", ADDRESS),
        record(
            "Received unregistered task of type %s.\n\nThe full contents of the message body was:\n%s", "t", ADDRESS
        ),
    ],
)
def test_a_message_that_celery_cannot_read_is_not_written_to_the_log(said: logging.LogRecord) -> None:
    assert UnreadableMessages().filter(said)
    assert ADDRESS not in said.getMessage()
    assert said.getMessage().endswith("(its contents are not shown)")


def test_other_records_stay_as_they_are() -> None:
    said = record("mingle: all alone")
    assert UnreadableMessages().filter(said)
    assert said.getMessage() == "mingle: all alone"


def failed(name: str) -> logging.LogRecord:
    try:
        raise KeyError(ADDRESS)
    except KeyError as error:
        return record("Task %(name)s raised %(exc)s", {"name": name, "exc": repr(error)}, error=error)


def test_a_bug_in_a_task_of_ours_is_told_by_its_place() -> None:
    said = failed("mailworker.deliver")
    assert FailedTasks().filter(said)
    assert ADDRESS not in said.getMessage()
    assert "KeyError at test_privacy.py:" in said.getMessage()
    assert said.exc_info is None


def test_a_task_of_a_host_is_no_matter_of_ours() -> None:
    said = failed("host.task")
    assert FailedTasks().filter(said)
    assert ADDRESS in said.getMessage()
    assert said.exc_info is not None
