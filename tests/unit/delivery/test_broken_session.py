"""A session that breaks says something of the relay, of a mail, or of neither."""

from __future__ import annotations

import pytest

from mailworker.delivery.broken_session import Break, Rest, what_broke
from mailworker.errors import SmtpError

CROWDED = SmtpError("MAIL", 421, "4.7.0 too many connections from your host")
LOGIN = SmtpError("MAIL", 530, "5.7.0 authentication required", configuration=True)


@pytest.mark.parametrize("answered", [False, True])
@pytest.mark.parametrize("fresh", [False, True])
@pytest.mark.parametrize(("error", "rest"), [(CROWDED, Rest.WAITS_FOR_A_PLACE), (LOGIN, Rest.WAITS_FOR_THE_RELAY)])
def test_what_concerns_the_site_is_no_mails_attempt(error: SmtpError, rest: Rest, fresh: bool, answered: bool) -> None:
    assert what_broke(error, fresh, answered) == Break(rest, blame=False)


@pytest.mark.parametrize(
    ("phase", "fresh", "answered", "rest", "blame"),
    [
        # It worked until then: the mail at whose command it broke may be the reason, at MAIL nothing was said of one.
        ("MAIL", True, True, Rest.GOES_ON, False),
        ("MAIL", False, True, Rest.GOES_ON, False),
        ("message", True, True, Rest.GOES_ON, True),
        ("RCPT", False, True, Rest.GOES_ON, True),
        # A warm connection that had died costs nobody anything.
        ("MAIL", False, False, Rest.GOES_ON, False),
        # The relay failed with the first mail of this batch.
        ("MAIL", True, False, Rest.WAITS_FOR_THE_RELAY, True),
        ("RCPT", False, False, Rest.WAITS_FOR_THE_RELAY, True),
        ("message", True, False, Rest.WAITS_FOR_THE_RELAY, True),
    ],
)
def test_whether_the_relay_worked_before_says_who_is_to_blame(
    phase: str, fresh: bool, answered: bool, rest: Rest, blame: bool
) -> None:
    assert what_broke(SmtpError(phase, 0, "connection closed"), fresh, answered) == Break(rest, blame)
