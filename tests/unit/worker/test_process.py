"""What a worker's main process is told of a task that ended a child."""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from billiard.einfo import ExceptionInfo
from billiard.exceptions import WorkerLostError
from celery import signals
from kombu.message import Message

from mailworker import app, send_email
from mailworker.worker import child_lost, privacy, process

ETA = "2999-01-01T00:00:00+00:00"
MAIL = {"to": "a@example.com", "subject": "s", "body": "b"}


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[Any, ...]]]:
    """What `child_lost` is told, with a worker's receivers connected and nothing else done to this process."""
    monkeypatch.setattr(process, "_keep_freed_memory", lambda: None)
    monkeypatch.setattr(privacy, "redact_the_log", lambda: None)
    calls: list[tuple[Any, ...]] = []
    monkeypatch.setattr(child_lost, "wake", lambda *call: calls.append(call))
    ours = (signals.task_failure, signals.worker_process_init, signals.worker_shutting_down)
    for signal in ours:
        monkeypatch.setattr(signal, "receivers", [])
    process.Prepared(SimpleNamespace(app=app, hostname="w"))
    yield calls
    signals.task_failure.sender_receivers_cache.clear()


def request_of_another_program() -> privacy.PrivateRequest:
    headers = {"id": "i", "task": "mailworker.send_email", "lang": "js", "eta": ETA}
    body = json.dumps([[], MAIL, {}])
    message = Message(body, headers=headers, content_type="application/json", content_encoding="utf-8", channel=None)
    message.properties.update(correlation_id="i", reply_to=None)
    message.delivery_info.update(redelivered=False)
    return privacy.PrivateRequest(
        message, app=app, hostname="w", task=send_email, headers=headers, decoded=False,
        on_ack=print, on_reject=print, connection_errors=(),
    )  # fmt: skip


def lost() -> ExceptionInfo:
    try:
        raise WorkerLostError("killed")
    except WorkerLostError:
        return ExceptionInfo()


@pytest.mark.parametrize(
    "end", [lambda request: request.on_failure(lost()), lambda request: request.on_timeout(soft=False, timeout=1260)]
)
def test_it_is_told_when_a_mail_that_another_program_sent_was_to_go(end: Any, told: list[tuple[Any, ...]]) -> None:
    end(request_of_another_program())
    ((name, task_id, args, kwargs, times, error),) = told
    assert (name, task_id, list(args), kwargs, times) == ("mailworker.send_email", "i", [], MAIL, (None, ETA, None))
    assert type(error).__name__ in ("WorkerLostError", "TimeLimitExceeded")
