"""Celery has many ways to call a task. Each one either has a record before a message, or says what to write instead."""

from __future__ import annotations

import inspect
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from celery import Task

from mailworker import send_email
from mailworker.errors import Unsendable
from mailworker.worker import calls

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
MAIL = {"to": "a@example.com", "subject": "s", "body": "b"}


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("expires", 60),
        ("expires", 0),
        ("expires", NOW),
        ("link", {"task": "other"}),
        ("link", [{"task": "other"}]),
        ("link_error", [{"task": "other"}]),
        ("chain", [{"task": "mailworker.send_email"}]),
        ("chord", {"task": "other"}),
        ("queue", "nobody-reads-this"),
        ("exchange", "other"),
        ("routing_key", "other"),
        ("time_limit", 1),
        ("soft_time_limit", 1),
    ],
)
@pytest.mark.parametrize("way", ["apply_async", "apply"])
def test_an_option_that_puts_a_mail_at_risk_is_refused_and_the_text_says_what_to_do(
    way: str, option: str, value: Any
) -> None:
    with pytest.raises(TypeError, match=rf"^send_email: {option}: .*(leave it out|send_email\.delay)"):
        getattr(send_email, way)(kwargs=MAIL, **{option: value})


@pytest.mark.parametrize("option", ["link", "link_error", "chain", "chord", "expires", "queue"])
def test_celery_s_own_way_to_say_none_is_none(option: str) -> None:
    calls.check({option: None})
    if option.startswith(("link", "chain")):
        calls.check({option: []})


@pytest.mark.parametrize("method", sorted(calls.CANVAS))
def test_what_ends_in_a_message_with_the_mail_in_it_says_what_to_write(method: str) -> None:
    assert hasattr(Task, method)
    with pytest.raises(TypeError, match=rf"^send_email\.{method}: .*send_email\.delay"):
        getattr(send_email, method)([("a@example.com", "s", "b")], 10)


def test_celery_has_no_further_ways_that_nobody_looked_at() -> None:
    """A new version may bring one: it belongs into `calls`, or here with its reason."""
    harmless = {
        "AsyncResult", "after_return", "annotate", "before_start", "bind", "on_bound", "on_failure", "on_replace",
        "on_retry", "on_success", "pop_request", "push_request", "run", "send_event", "shadow_name", "start_strategy",
        "update_state", "add_around", "add_trail",
    }  # fmt: skip
    ours = {"apply", "apply_async", "delay"}
    public = {name for name in dir(Task) if not name.startswith("_")}
    methods = {name for name in public if inspect.isroutine(inspect.getattr_static(Task, name))}
    assert methods - harmless - ours - set(calls.CANVAS) == set()


@pytest.mark.parametrize(
    ("countdown", "eta", "seconds"),
    [
        (None, None, 0),
        (0, None, 0),
        (5, None, 5),
        (2.5, None, 2.5),
        (-5, None, 0),
        (None, NOW + timedelta(hours=1), 3600),
        (None, NOW - timedelta(hours=1), 0),
        (None, (NOW + timedelta(hours=1)).replace(tzinfo=None), 3600),
        (None, "2026-11-25T13:00:00+00:00", 3600),
        (None, "2026-11-25T13:00:00Z", 3600),
    ],
)
def test_the_wait_goes_into_the_spool(countdown: Any, eta: Any, seconds: float) -> None:
    assert calls.delay(countdown, eta, NOW) == seconds


@pytest.mark.parametrize(
    "bad", [{"countdown": "5"}, {"countdown": float("nan")}, {"countdown": float("inf")}, {"countdown": True},
            {"eta": 5}, {"eta": "tomorrow"}, {"eta": b"x"}],
)  # fmt: skip
def test_a_wait_that_is_none_is_refused_before_the_mail_is_spooled(bad: dict[str, Any]) -> None:
    name = next(iter(bad))
    with pytest.raises(TypeError, match=f"^send_email: {name}: expected"):
        send_email.apply_async(kwargs=MAIL, **bad)


@pytest.mark.parametrize("bad", [7, b"order", ("order",)])
def test_an_id_is_a_string(bad: Any) -> None:
    with pytest.raises(TypeError, match="task_id: expected a string"):
        send_email.apply_async(kwargs=MAIL, task_id=bad)


def test_by_name_with_our_own_app_it_is_the_same_call() -> None:
    from mailworker import app

    with pytest.raises(TypeError, match="expires"):
        app.send_task("mailworker.send_email", kwargs=MAIL, expires=5)
    with pytest.raises(Unsendable):
        app.send_task("mailworker.send_email", kwargs=MAIL | {"to": "nobody"})
    with pytest.raises(TypeError, match=r"send_email\.delay"):
        app.send_task("celery.starmap", kwargs={"task": {"task": "mailworker.send_email"}, "it": []})
