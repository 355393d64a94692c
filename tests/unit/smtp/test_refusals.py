"""A relay's words should be understood for what they speak of: a mail, its recipients, the site or the relay."""

from __future__ import annotations

import pytest

from mailworker.errors import SmtpError
from mailworker.smtp.refusals import (
    crowded,
    likely_too_many_recipients,
    masked,
    normal,
    perhaps_crowded,
    refusal,
    throttled,
    too_many_recipients,
)
from mailworker.smtp.replies import Reply
from mailworker.smtp.verdict import Verdict


def verdict(phase: str, code: int, text: str) -> Verdict:
    reply = Reply(code, text)
    if phase == "RCPT":
        return Verdict((reply,), reply, "RCPT")
    return Verdict(() if phase == "MAIL" else (Reply(250, "ok"),), reply, phase)


SITES = [
    ("MAIL", 501, "mail from address must be same as authorization user"),  # 163.com
    ("MAIL", 553, "5.7.1 <site@example.com>: Sender address rejected: not owned by user bob"),  # Postfix
    ("MAIL", 553, "Mail from must equal authorized user"),
    ("MAIL", 550, "5.7.1 Unauthenticated email is not accepted from this domain"),
    ("MAIL", 535, "5.7.8 Authentication failed"),
    ("MAIL", 554, "5.7.1 Client host rejected: Access denied"),
    ("MAIL", 550, "no"),
    ("RCPT", 554, "5.7.1 <a@example.com>: Relay access denied"),  # Postfix
    ("RCPT", 550, "relay not permitted"),  # Exim
    ("RCPT", 550, "5.7.1 Unable to relay for a@example.com"),  # Exchange
    ("RCPT", 550, "5.7.64 TenantAttribution; Relay Access Denied"),  # Exchange Online
    ("RCPT", 530, "5.7.0 Authentication required"),
    ("RCPT", 550, "Sender verify failed"),  # Exim
    ("RCPT", 554, "5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org"),
    ("RCPT", 571, "Delivery not authorized, message refused"),
    ("RCPT", 550, "5.7.1 Relaying denied"),  # sendmail
    ("message", 550, "5.7.60 SMTP; Client does not have permissions to send as this sender"),  # Exchange Online
    ("message", 554, "Message rejected: Email address is not verified. The following identities failed: a@b.c"),  # SES
    ("message", 550, "5.4.5 Daily user sending quota exceeded. a1b2c3-4567 - gsmtp"),  # Gmail
    ("message", 550, "5.7.1 Unauthenticated email from example.com is not accepted"),
    ("DATA", 554, "5.7.1 Relay access denied"),
]
SITES += [
    ("RCPT", 553, "sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)"),  # qmail
    ("RCPT", 550, "Delivery is not allowed to this address."),  # hMailServer's error messages
    ("RCPT", 503, "This mail server requires authentication when attempting to send to a non-local e-mail address."),
    ("RCPT", 550, "5.7.1 Invalid credentials for relay [192.0.2.1]. The IP address you've registered"),  # Google
    ("RCPT", 554, "5.7.1 <a@b.c>: Recipient address rejected: You have exceeded your Outmail quota."),  # Prolateral
    (
        "RCPT",
        550,
        "Domain b.c has exceeded the max emails per hour (500/500 (100%)) allowed. Message discarded.",
    ),  # cPanel
    ("message", 554, "5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException; Failed to process message"),
    ("message", 552, "Message would take you over your relay quota of 500 Current quota used: 487"),
    (
        "message",
        550,
        "5.1.90 Your message can't be sent because you've reached your daily limit for message recipients",
    ),
    ("message", 550, "5.4.6 mail rate exceeded limit"),  # Zoho
    (
        "message",
        550,
        "free accounts are for test purposes only. Please add the address to authorized recipients",
    ),  # Mailgun
]
PLAIN_AT_ONCE = [
    ("MAIL", 501, "mail from address must be same as authorization user"),
    ("MAIL", 553, "5.7.1 <site@example.com>: Sender address rejected: not owned by user bob"),
    ("MAIL", 550, "5.4.5 Daily user sending quota exceeded."),
]
NOT_SITES = [
    ("RCPT", 550, "Quota exceeded"),  # IONOS: the recipient's mailbox
    ("RCPT", 552, "5.2.2 user's mail quota exceeded"),
    ("message", 552, "5.2.3 Message length exceeds limit"),
    ("MAIL", 552, "5.3.4 Message size exceeds fixed limit"),
    ("MAIL", 553, "5.6.7 SMTPUTF8 is needed"),
    ("MAIL", 451, "4.7.1 try later"),
    ("RCPT", 550, "5.1.1 <a@example.com>: Recipient address rejected: User unknown in local recipient table"),
    ("RCPT", 550, "No such user here"),
    ("RCPT", 553, "mailbox name not allowed"),
    ("RCPT", 550, "5.4.1 Recipient address rejected: Access denied. AS(201806281)"),  # Exchange Online: no such user
    ("RCPT", 550, "5.7.1 recipient a@example.com is disabled"),
    ("RCPT", 554, "delivery error: dd This user doesn't have a yahoo.com account (a@yahoo.com) [0]"),
    ("RCPT", 550, "Requested action not taken: mailbox unavailable"),
    ("RCPT", 552, "5.2.2 mailbox full"),
    ("RCPT", 552, "5.5.3 too many recipients"),
    ("message", 554, "5.7.1 Message rejected as spam by Content Filtering."),
    ("message", 550, "5.7.1 This message scored 12.4 spam points"),
    ("message", 552, "5.3.4 too large"),
    ("message", 550, "5.1.1 user unknown"),
    ("message", 550, "virus found"),
    ("SMTPUTF8", 550, "the address needs SMTPUTF8, which the relay does not offer"),
]


@pytest.mark.parametrize(("phase", "code", "text"), SITES)
def test_a_refusal_that_is_the_sites_is_told_from_the_mails(phase: str, code: int, text: str) -> None:
    assert refusal(verdict(phase, code, text)) is not None


@pytest.mark.parametrize(("phase", "code", "text"), PLAIN_AT_ONCE)
def test_plain_words_about_the_sender_count_at_the_first_mail(phase: str, code: int, text: str) -> None:
    said = refusal(verdict(phase, code, text))
    assert said is not None
    assert said.enough == 1


@pytest.mark.parametrize(
    ("phase", "code", "text", "enough"),
    [
        ("MAIL", 553, "5.7.1 <x@example.com>: Sender address rejected: not owned by user bob", 5),
        ("RCPT", 553, "5.7.1 <x@example.com>: Sender address rejected: not owned by user bob", 5),
        ("MAIL", 550, "no", 5),
        ("message", 550, "5.7.60 SMTP; Client does not have permissions to send as this sender", 5),
        ("MAIL", 550, "5.4.5 Daily user sending quota exceeded.", 1),
        ("MAIL", 535, "5.7.8 Authentication failed", 1),
        ("RCPT", 554, "5.7.1 <a@example.com>: Relay access denied", 3),
    ],
)
def test_of_a_sender_that_is_not_the_sites_more_refusals_are_wanted(
    phase: str, code: int, text: str, enough: int
) -> None:
    """Else one caller's `sender=` that the relay does not allow would hold up everybody's mail."""
    said = refusal(verdict(phase, code, text), own_sender=True)
    assert said is not None
    assert said.enough == enough


@pytest.mark.parametrize(("phase", "code", "text"), NOT_SITES)
def test_a_refusal_of_a_mail_or_a_recipient_is_not_the_sites(phase: str, code: int, text: str) -> None:
    assert refusal(verdict(phase, code, text)) is None


def test_where_one_recipient_was_taken_or_another_refused_otherwise_it_is_not_the_sites() -> None:
    no = Reply(554, "5.7.1 Relay access denied")
    assert refusal(Verdict((no, Reply(250, "ok")), Reply(250, "ok"), "message")) is None
    assert refusal(Verdict((no, Reply(550, "5.1.1 unknown")), no, "RCPT")) is None
    assert refusal(Verdict((no, no), no, "RCPT")) is not None


def test_two_replies_that_say_the_same_of_two_mails_are_the_same() -> None:
    one = "5.7.1 <a@example.com>: Sender [192.0.2.1] rejected 4F2A5s at 12:30:01, see https://x.y/a?b=1"
    two = "5.7.1 <other@b.example>: Sender [2001:db8::7] rejected 9BC1D2 at 13:31:59, see https://x.y/a?b=2"
    assert normal(one) == normal(two)
    assert normal(one) != normal("5.7.1 <a@example.com>: Relay access denied")


def test_no_address_is_left_in_what_an_operator_is_told() -> None:
    said = refusal(verdict("MAIL", 553, "<some.body@example.com>: not owned\nby user x@y.z"))
    assert said is not None
    assert said.text == "MAIL: 553 <…>: not owned by user …"
    assert "@" not in masked("a@b, <c@d.e> f@g")


@pytest.mark.parametrize(
    ("phase", "code", "text"),
    [
        ("greeting", 421, "4.7.0 relay.test Error: too many connections from 127.0.0.1"),  # Postfix
        ("greeting", 421, "Too many concurrent SMTP connections; please try again later."),  # Exim
        ("greeting", 421, "4.3.2 The maximum number of concurrent server connections has exceeded a limit, closing"),
        ("greeting", 554, "too many connections"),
        ("EHLO", 421, "Too many concurrent sessions"),
        ("AUTH", 454, "4.7.0 Too many simultaneous logins: connection refused, too many connections"),
        ("AUTH", 432, "4.3.2 STOREDRV.ClientSubmit; sender thread limit: concurrent connections limit exceeded"),
        ("MAIL", 421, "4.7.0 too many connections"),
        ("MAIL", 450, "4.7.1 Error: too many connections"),
        ("MAIL", 451, "4.7.0 Connection limit exceeded"),
    ],
)
def test_a_relay_that_has_enough_connections_is_understood(phase: str, code: int, text: str) -> None:
    assert crowded(phase, code, text)


@pytest.mark.parametrize(
    ("phase", "code", "text"),
    [
        ("MAIL", 421, "4.7.0 too many errors"),
        ("MAIL", 450, "4.7.1 Error: too much mail from 127.0.0.1"),
        ("MAIL", 421, "too many messages in this session? no: too many messages"),
        ("RCPT", 452, "4.5.3 too many recipients"),
        ("message", 421, "too many connections"),
        ("AUTH", 535, "5.7.8 wrong password"),
        ("greeting", 421, "service not available"),
    ],
)
def test_other_limits_are_not_taken_for_it(phase: str, code: int, text: str) -> None:
    assert not crowded(phase, code, text)


def test_a_close_without_words_may_be_a_limit_and_a_silence_is_none() -> None:
    assert perhaps_crowded(SmtpError("greeting", 0, "the relay closed the connection"))
    assert perhaps_crowded(SmtpError("connect", 0, "Connection refused"))
    assert perhaps_crowded(SmtpError("greeting", 421, "closing"))
    assert not perhaps_crowded(SmtpError("connect", 0, "no connection in time"))
    assert not perhaps_crowded(SmtpError("greeting", 554, "go away"))


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (452, "4.5.3 Error: too many recipients"),
        (452, "Too many recipients"),
        (552, "5.5.3 too many recipients"),
        (550, "5.5.3 Too many recipients"),
        (554, "too many recipients"),
        (503, "Too many recipients"),
        (421, "Too many recipients this session"),
        (451, "4.5.3 limit"),
        (450, "4.5.3 Recipient limit exceeded"),
        (452, "4.5.3 Number of recipients exceeds the maximum"),
    ],
)
def test_too_many_recipients_are_understood_whatever_the_code(code: int, text: str) -> None:
    assert too_many_recipients(Reply(code, text))


def test_a_bare_452_and_552_may_mean_it_and_a_full_mailbox_never() -> None:
    assert likely_too_many_recipients(Reply(452, "as the script says"))
    assert likely_too_many_recipients(Reply(552, "no more"))
    assert not likely_too_many_recipients(Reply(452, "4.2.2 mailbox full"))
    assert not likely_too_many_recipients(Reply(552, "5.2.2 over quota"))
    assert not likely_too_many_recipients(Reply(450, "later"))
    assert not too_many_recipients(Reply(250, "not too many recipients"))
    assert not too_many_recipients(Reply(450, "4.2.0 greylisted"))


THROTTLED = [
    ("MAIL", 450, "4.7.1 Error: too much mail from 192.0.2.1"),  # Postfix, smtpd_client_message_rate_limit
    ("message", 454, "Throttling failure: Maximum sending rate exceeded."),  # SES: nodemailer/nodemailer, issue 436
    ("RCPT", 451, '4.7.1 Ratelimit "user" exceeded'),  # mailcow/mailcow-dockerized, issue 1497
    ("RCPT", 450, "4.7.1 <bob>: SASL login name rejected: You are sending too many emails too fast."),  # Mailu, 2416
    ("message", 432, "4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded [Hostname=X]"),  # Exchange Online
    ("MAIL", 450, "Requested mail action not taken\nMail send limit exceeded."),  # IONOS
    ("RCPT", 450, "4.7.1 Number messages per hour exceeded"),  # postfwd
    ("MAIL", 451, "4.7.0 Daily message quota exceeded"),
    ("message", 452, "4.7.0 Message would take you over your relay quota of 500"),
]
NOT_THROTTLED = [
    ("MAIL", 421, "4.7.0 too many messages"),
    ("MAIL", 550, "5.4.5 Daily user sending quota exceeded"),
    ("RCPT", 450, "4.2.1 The user you are trying to contact is receiving mail at a rate that"),  # Gmail
    ("RCPT", 432, "4.3.2 STOREDRV.Deliver; recipient thread limit exceeded"),
    ("RCPT", 452, "4.2.2 The email account that you tried to reach is over quota"),
    ("RCPT", 452, "4.5.3 Error: too many recipients"),
    ("RCPT", 450, "4.7.1 greylisted, try again later"),
    ("MAIL", 452, "4.3.1 Insufficient system storage"),
    ("message", 452, "Message size exceeds the limit"),
    ("MAIL", 450, "4.7.0 connection rate limit: too many connections"),
]


@pytest.mark.parametrize(("phase", "code", "text"), THROTTLED)
def test_a_relay_that_has_had_enough_for_a_while_is_understood(phase: str, code: int, text: str) -> None:
    assert throttled(verdict(phase, code, text))


@pytest.mark.parametrize(("phase", "code", "text"), NOT_THROTTLED)
def test_a_recipients_limit_or_another_one_is_not_the_relays(phase: str, code: int, text: str) -> None:
    assert not throttled(verdict(phase, code, text))


def test_a_relay_that_took_somebody_has_not_had_enough() -> None:
    no, yes = Reply(450, "4.7.1 rate limit"), Reply(250, "ok")
    assert not throttled(Verdict((no, yes), yes, "message"))
    assert not throttled(Verdict((no, Reply(450, "4.2.0 greylisted")), no, "RCPT"))
