"""The sentence at the head of `mailworker status`: the first thing that is wrong, and its exit code."""

from __future__ import annotations

from typing import Any

import pytest

from mailworker.delivery.remedies import remedy
from mailworker.findings import first_finding, relay_line, span

WORKS: dict[str, Any] = {
    "open": False, "failures": 0, "needs_operator": False, "last_error": "", "place": "", "down_seconds": None,
    "probe_seconds": None,
}  # fmt: skip
WELL: dict[str, Any] = {
    "lists": {"queue:email": 0},
    "refuses": "",
    "states": dict.fromkeys(("queued", "leased", "committing", "deferred", "failed", "held"), 0),
    "relays": {"default": WORKS},
    "workers": {"w:1:2:abc": 5},
    "silent": {},
    "heard_seconds": {"w:1:2:abc": 0.4},
    "stands_seconds": 0.0,
}
DOWN = {"open": True, "place": "mail.example.com:587", "down_seconds": 720.0, "probe_seconds": 45.0}
REFUSED = {**WORKS, **DOWN, "needs_operator": True, "last_error": "AUTH: 535 no"}
AWAY = {**WORKS, **DOWN, "last_error": "connect: Connection refused"}
FAILING = WORKS | {"failures": 2, "last_error": "connect: no"}


def with_relay(relay: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"relays": {"default": relay}} | more


def with_states(**states: int) -> dict[str, Any]:
    return {"states": WELL["states"] | states}


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({}, 0, ["Mail flows"]),
        ({"lists": {"queue:email": 7}}, 0, ["7 wait"]),
        (with_states(failed=2, held=1), 0, ["Mail flows", "3 dead letters", "mailworker dead list"]),
        ({"workers": {}, "heard_seconds": {}}, 1, ["No worker is running", "celery -A mailworker worker"]),
        ({"workers": {}, "silent": {"w:1:2:abc": 61.0}}, 1, ["No worker is alive", "61 s ago"]),
        ({"workers": {}, "silent": {"a": 4000.0, "b": 300.0}}, 1, ["5 min ago"]),
        ({"silent": {"other": 300.0}}, 0, ["Mail flows"]),
        (
            with_relay(REFUSED), 1,
            ["mail.example.com:587", "12 min", "45 s", "user and password in MAILWORKER_SMTP_URL", "535", "retry-now"],
        ),
        (with_relay(AWAY), 75, ["mail.example.com:587", "tried again by itself", "45 s", "Connection refused"]),
        ({"refuses": "OOM", "workers": {}}, 1, ["Redis is full"]),
        ({"refuses": "NOREPLICAS"}, 1, ["replicas"]),
        ({"refuses": "READONLY"}, 1, ["read-only"]),
        ({"refuses": "MISCONF"}, 1, ["cannot save"]),
        ({"lists": {"queue:email": None}}, 1, ["queue:email in Redis is no list"]),
        (with_relay(FAILING), 0, ["Mail flows"]),
        (with_relay(FAILING, lists={"queue:email": 7}), 75, ["failed of late (2 in a row)", "connect: no"]),
        (with_relay(AWAY, workers={}, silent={"w": 99.0}), 1, ["No worker is alive"]),
        ({"lists": {"queue:email": 7}, "stands_seconds": 300.0}, 1, ["7 mails wait", "nothing moved for 5 min"]),
        (with_states(deferred=9) | {"stands_seconds": 300.0}, 0, ["Mail flows"]),
        ({"lists": {"queue:email": 7}, "stands_seconds": None}, 0, ["7 wait"]),
    ],
)  # fmt: skip
def test_the_first_thing_that_is_wrong_is_said(change: dict[str, Any], code: int, words: list[str]) -> None:
    finding = first_finding(WELL | change)
    assert finding.code == code
    for word in words:
        assert word in finding.sentence


@pytest.mark.parametrize(
    ("error", "setting"),
    [
        ("AUTH: 535 5.7.8 no", "password"),
        ("TLS: bad certificate: expired", "MAILWORKER_SMTP_CA_FILE"),
        ("STARTTLS: the relay does not offer it", "scheme"),
        ("MAIL: 553 not your address", "MAILWORKER_FROM"),
        ("something else", "MAILWORKER_SMTP_URL"),
    ],
)
def test_the_setting_to_mend_follows_from_the_step(error: str, setting: str) -> None:
    assert setting in remedy(error)


def test_a_relay_that_fails_now_and_then_is_said_to_be_tried_on() -> None:
    assert "2 in a row" in relay_line(WORKS | {"failures": 2, "last_error": "connect: no"})


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "0 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h"), (2e5, "2 d")]
)
def test_a_span_of_time_has_the_unit_that_people_use(seconds: float, text: str) -> None:
    assert span(seconds) == text
