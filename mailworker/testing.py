"""Tests of programs that send mail: what would have been sent, without Redis, a broker or a relay.

With pytest, in the `conftest.py` at the top: `pytest_plugins = ["mailworker.testing"]`. Then a test takes
`mailworker_outbox`:

    def test_an_order_is_confirmed(mailworker_outbox):
        place_order()
        [mail] = mailworker_outbox
        assert mail.recipients == ("ada@example.com",)
        assert mail.message["subject"] == "Your order"

With anything else: `with keeping() as outbox:`. For a whole process: MAILWORKER_SMTP_URL=memory:// in its environment;
then `outbox` has the mails.

It is no plug-in that pytest finds by itself: who has mailworker installed and does not test with it pays nothing, and
has no fixture that it did not ask for. (Celery took its own out of the entry points for that, in 5.0.)
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from .delivery.outbox import Message, keeping, outbox

__all__ = ["Message", "keeping", "outbox"]

if TYPE_CHECKING or "pytest" in sys.modules:  # without pytest nobody needs its fixtures
    import pytest

    @pytest.fixture
    def mailworker_outbox() -> Iterator[list[Message]]:
        """The mails that the test sends, whatever the settings say of a relay."""
        with keeping() as kept:
            yield kept

    @pytest.fixture(autouse=True)
    def _no_mail_of_the_test_before() -> None:
        """For tests that look into `outbox` under memory://."""
        outbox.clear()
