"""What the spool is given of a call."""

from __future__ import annotations

from mailworker.delivery.accept import to_be_accepted
from mailworker.mail.address import Mailbox
from mailworker.mail.arguments import Call
from mailworker.mail.email import Email

MAIL = Email((Mailbox("a@example.com"),), b"s", b"b")


def test_a_chosen_id_comes_with_a_digest_of_the_mail_alone_where_it_is_to_be_compared() -> None:
    first = to_be_accepted(Call(MAIL, "id", wait=5, expires=7))
    assert (first.id, first.keyed, len(first.digest)) == ("id", True, 16)
    assert to_be_accepted(Call(MAIL, "id")).digest == first.digest
    assert to_be_accepted(Call(Email(MAIL.to, b"other", b"b"), "id")).digest != first.digest
    assert to_be_accepted(Call(MAIL, "id", compared=False)).digest == b""


def test_an_id_of_ours_is_another_each_time_and_is_not_compared() -> None:
    one, other = to_be_accepted(Call(MAIL)), to_be_accepted(Call(MAIL))
    assert one.id != other.id
    assert (one.keyed, one.digest) == (False, b"")
