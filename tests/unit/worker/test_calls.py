"""Celery has many ways to call a task. Each one either has a record before a message, or says what to write instead."""

from __future__ import annotations

import inspect
import re
import time
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from pathlib import Path
from typing import Any

import pytest
from celery import Task

from mailworker import send_email
from mailworker.errors import Unsendable
from mailworker.mail.arguments import Call
from mailworker.mail.email import Limits
from mailworker.worker import calls

MAIL = {"to": "a@example.com", "subject": "s", "body": "b"}


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("priority", 5),
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


def call(**options: Any) -> Call:
    """Of a mail with an option of Celery's, or an argument of the same name."""
    named = {name: options.pop(name) for name in ("send_at", "idempotency_key") if name in options}
    times = tuple(options.get(name) for name in ("countdown", "eta", "expires"))
    return calls.read((), {**MAIL, **named}, Limits(), options.get("task_id"), times)


def hour(zone: tzinfo | None = UTC) -> datetime:
    moment = datetime.now(UTC) + timedelta(hours=1)
    return moment.astimezone(zone) if zone else moment.replace(tzinfo=None)


ZONE = timezone(timedelta(hours=-3))
COLLECTED = time.monotonic()


@pytest.mark.parametrize(
    ("options", "seconds"),
    [
        ({}, 0),
        ({"countdown": 0}, 0),
        ({"countdown": 5}, 5),
        ({"countdown": 2.5}, 2.5),
        ({"countdown": -5}, 0),
        ({"countdown": timedelta(minutes=2)}, 120),
        ({"eta": hour()}, 3600),
        ({"eta": hour(ZONE)}, 3600),
        ({"eta": hour(None)}, 3600),  # as Celery takes it: UTC
        ({"eta": hour().isoformat()}, 3600),
        ({"eta": "2026-11-25T13:00:00Z"}, None),
        ({"eta": "2020-01-01"}, 0),
        ({"send_at": hour()}, 3600),
        ({"send_at": hour(ZONE)}, 3600),
        ({"send_at": hour().isoformat()}, 3600),
        ({"send_at": 90}, 90),
        ({"send_at": timedelta(days=2)}, 172_800),
        ({"send_at": datetime(2020, 1, 1, tzinfo=UTC)}, 0),
    ],
)
def test_the_wait_goes_into_the_spool(options: dict[str, Any], seconds: float | None) -> None:
    late = time.monotonic() - COLLECTED  # the hours above begin there
    wait = call(**options).wait
    assert seconds is None or seconds - late - 1 <= wait <= seconds + 1


@pytest.mark.parametrize("bad", [{"expires": 60}, {"expires": timedelta(minutes=1)}, {"expires": 59.5}])
def test_expires_is_a_moment_in_the_record(bad: dict[str, Any]) -> None:
    assert call(**bad).expires == pytest.approx(time.time() * 1000 + 60_000, abs=30_000)


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        (
            {"countdown": "3"},
            "countdown: expected seconds as a number, or a timedelta, got the text '3'",
        ),
        ({"countdown": float("nan")}, "countdown: expected seconds"),
        ({"countdown": float("inf")}, "countdown: expected seconds"),
        ({"countdown": True}, "countdown: expected seconds"),
        ({"countdown": datetime.now(UTC)}, "countdown: expected seconds"),
        ({"eta": 5}, "eta: expected a datetime, got 5"),
        ({"eta": "tomorrow"}, "eta: expected a datetime, or its text as in 2026-"),
        ({"eta": b"x"}, "eta: expected a datetime, got bytes"),
        ({"expires": hour(None)}, "expires: has no time zone; write datetime.now"),
        ({"expires": "soon"}, "expires: expected a datetime"),
        ({"expires": [5]}, "expires: expected a datetime with a time zone, or seconds from now, got list"),
        ({"countdown": 5, "eta": hour()}, "countdown: eta is there as well"),
        ({"send_at": 5, "eta": hour()}, "send_at: eta is there as well"),
        ({"send_at": 0, "countdown": 0}, "send_at: countdown is there as well"),
        ({"task_id": "a", "idempotency_key": "b"}, "idempotency_key: task_id is there as well"),
    ],
)
def test_a_time_or_a_key_that_is_none_is_refused_before_the_mail_is_spooled(bad: dict[str, Any], problem: str) -> None:
    with pytest.raises(TypeError, match=f"^send_email: {re.escape(problem)}"):
        call(**bad)


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        ({"send_at": 1_900_000_000}, "send_at: more than ten years from now; for a Unix time write"),
        ({"expires": 0}, "expires: is over already"),
        ({"expires": -1}, "expires: is over already"),
        ({"expires": -(10**400)}, "expires: is over already"),
        ({"expires": 10**400}, "expires: more than ten years from now; for a Unix time"),
        ({"countdown": timedelta(days=10**6)}, "countdown: more than ten years from now"),
        ({"send_at": datetime.max.replace(tzinfo=ZONE)}, "send_at: more than ten years from now"),
        ({"expires": datetime.min.replace(tzinfo=timezone(timedelta(hours=3)))}, "expires: is over already"),
        ({"idempotency_key": "  "}, "idempotency_key: 0 characters"),
        ({"expires": datetime(2020, 1, 1, tzinfo=UTC)}, "expires: is over already"),
        ({"expires": 60, "countdown": 61}, "expires: is before the mail may go"),
        ({"expires": hour(), "send_at": hour() + timedelta(1)}, "expires: is before the mail may go"),
        ({"idempotency_key": ""}, "idempotency_key: 0 characters, expected 1 to 256"),
        ({"idempotency_key": "x" * 257}, "idempotency_key: 257 characters"),
    ],
)
def test_a_time_or_a_key_that_makes_no_sense_is_refused(bad: dict[str, Any], problem: str) -> None:
    with pytest.raises(Unsendable, match=f"^{re.escape(problem)}"):
        call(**bad)


@pytest.mark.parametrize("naive", [hour(None), "2026-12-24T18:00:00", "2026-12-24"])
def test_send_at_has_a_time_zone(naive: Any) -> None:
    with pytest.raises(TypeError, match=r"^send_at: has no time zone; write datetime\.now\(UTC\)"):
        call(send_at=naive)


@pytest.mark.parametrize(("key", "id_"), [("order 7", "order 7"), ("a\nb", None), ("x" * 256, None), ("\ud800", None)])
def test_a_key_is_the_mail_s_id_where_it_can_be_one(key: str, id_: str | None) -> None:
    chosen = call(idempotency_key=key).id
    assert chosen == id_ if id_ else re.fullmatch("[0-9a-f]{64}", chosen or "")


@pytest.mark.parametrize("name", ["send_at", "expires", "idempotency_key"])
def test_a_call_that_sends_there_and_then_has_nothing_to_do_with_times_and_keys(name: str) -> None:
    with pytest.raises(TypeError, match=rf"^send_email: {name}: .*send_email\.delay"):
        send_email(**MAIL, **{name: "5"})


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ((None, None, hour().isoformat()), 3600),
        ((None, None, hour(ZONE).isoformat()), 3600),
        ((None, None, hour(None).isoformat()), 3600),
        ((None, None, "2020-01-01T00:00:00+00:00"), None),
        ((None, None, "soon"), 0),
        ((None, None, 5), 0),
        ((None, None, None), 0),
    ],
)
def test_a_message_expires_as_its_program_said(headers: calls.Times, seconds: float | None) -> None:
    """Over or not: what is over becomes a dead letter in the spool, and no error of a worker."""
    read = calls.read_message("id", (), MAIL, headers, Limits())
    now = time.time() * 1000
    assert (read.id, read.compared) == ("id", False)
    if seconds is None:
        assert 0 < read.expires < now
    else:
        since = (time.monotonic() - COLLECTED) * 1000
        assert read.expires == (pytest.approx(now + seconds * 1000 - since, abs=60_000) if seconds else 0)


def test_a_key_in_a_message_is_compared_unless_a_template_says_the_mail(tmp_path: Path) -> None:
    keyed = {**MAIL, "idempotency_key": "k"}
    read = calls.read_message("id", (), keyed, calls.NO_TIME, Limits())
    assert (read.id, read.compared) == ("k", True)
    (tmp_path / "t.txt").write_text("text")
    by_template = {"to": "a@x.org", "subject": "s", "template": "t", "idempotency_key": "k"}
    read = calls.read_message("id", (), by_template, calls.NO_TIME, Limits(templates=str(tmp_path)))
    assert (read.id, read.compared) == ("k", False)


@pytest.mark.parametrize("bad", [7, b"order", ("order",)])
def test_an_id_is_a_string(bad: Any) -> None:
    with pytest.raises(TypeError, match="task_id: expected a string"):
        send_email.apply_async(kwargs=MAIL, task_id=bad)


def test_by_name_with_our_own_app_it_is_the_same_call() -> None:
    from mailworker import app

    with pytest.raises(TypeError, match="queue"):
        app.send_task("mailworker.send_email", kwargs=MAIL, queue="x")
    with pytest.raises(Unsendable, match="expires: is over already"):
        app.send_task("mailworker.send_email", kwargs=MAIL, expires=-5)
    with pytest.raises(Unsendable):
        app.send_task("mailworker.send_email", kwargs=MAIL | {"to": "nobody"})
    with pytest.raises(TypeError, match=r"send_email\.delay"):
        app.send_task("celery.starmap", kwargs={"task": {"task": "mailworker.send_email"}, "it": []})
