"""A relay should be believed when it says how long to wait, and only then."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailworker.smtp.retry_after import LONGEST, asked_delay

ASKED = [
    ("Greylisted, try again in 300 seconds", 300),
    ("4.7.1 <a@example.com>: Recipient address rejected: Greylisted for 300 seconds", 300),  # postgrey's text
    ("4.7.1 <a@example.com>: Recipient address rejected: Greylisted for 5 minutes", 300),  # sqlgrey
    ("4.7.1 Greylisting in action, please come back in 00:05:00", 300),  # milter-greylist
    ("Temporarily greylisted - please try again in 15 minutes.", 900),  # Exim's wiki
    ("Please try again in 5 minutes", 300),
    ("try again in 1 minute", 60),
    ("come back in 2 hours", 7200),
    ("come back in 1h", 3600),
    ("Retry after 45s", 45),
    ("Retry-After: 120", 120),
    ("deferred for 90 secs", 90),
    ("wait 3 mins", 180),
    ("please wait at least 60 sec", 60),
    ("You must wait 300 seconds before trying again", 300),
    ("try again later in 4 min 30 sec", 270),
    ("try again in 1 hour and 5 minutes", 3900),
    ("4.7.0 please try again\n4.7.0 in 10 minutes", 600),
    ("try again in an hour", 3600),
    ("please try 10 minutes later", 600),
    ("Please retry sending your message after 600 seconds", 600),
    ("the message will be accepted in 299 seconds", 299),
    ("Service unavailable, throttled. Try again later (in 30 seconds)", 30),
    ("try again in 9999 hours", LONGEST),
]
NOT_ASKED = [
    "try again later",
    "wait 500 ms",
    "4.3.2 mailbox is 300 seconds old",
    "quota exceeded, retry",
    "",
    "4.7.1 Client host [2001:db8:12:34:56::1] rejected: greylisted, try again later",
    "4.7.1 Client host [10:20:30:40::1] rejected, please wait and try again",
    "4.7.1 limit of 100 messages per 24 h exceeded, try again later",
    "4.7.1 try again later: limit of 500 per 1 hour",
    "too many messages within the last 60 minutes, retry later",
    "you sent 100 messages in 1 hour, try again later",
    "try again later: 100 messages in 1 hour",
    "2026-11-25 12:34:56 temporary failure, try again later",
    "try again after 12:30:00",
    "try again in 12:30:00 UTC",
    "try again, id 4F2A5s",
    "queue 12m deferred",
    "timeout after 300 s, try again later",
    "retry timeout after 300 s",
    "try again within 60 minutes",
    "greylisted 300 seconds ago, try again",
    "4.7.0 [TS01] Messages from 98.136.1.2 temporarily deferred due to user complaints - 4.16.55.1",  # Yahoo
    "4.2.1 The user is receiving mail too quickly. Please resend your message at a later time.",
    "4.7.0 Temporary server error. Please try again later. PRX2",  # Exchange Online
    "4.2.0 Greylisted, see http://postgrey.schweikert.ch/help/5s/example.com.html",
    "internal resources are temporarily unavailable - https://community.mimecast.com/docs/DOC-1369#451 try later",
    "server 3.2.1h is busy, try later",
]


@pytest.mark.parametrize(("text", "seconds"), ASKED)
def test_a_relay_says_when_to_come_back(text: str, seconds: float) -> None:
    assert asked_delay(text) == seconds


@pytest.mark.parametrize("text", NOT_ASKED)
def test_a_number_that_is_no_wait_is_not_taken_for_one(text: str) -> None:
    assert asked_delay(text) is None


@given(st.text(alphabet="try again in 0123456789:smh.greylisted for wait\n", max_size=200))
def test_no_text_makes_a_wait_of_more_than_a_day(text: str) -> None:
    assert 0 <= (asked_delay(text) or 0) <= LONGEST
