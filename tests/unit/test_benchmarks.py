"""The benchmark is believed only as far as its sink, its checks and its arithmetic are right."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks.chart import svg
from benchmarks.contestants import all_contestants
from benchmarks.dialogue import Dialogue, Manner
from benchmarks.ledger import Ledger, examine
from benchmarks.payloads import BODY, FILE, entry, file, html, rich, rich_entry, token
from benchmarks.plan import Costs, simulate
from benchmarks.profile import shares
from benchmarks.run import complaint
from benchmarks.stage import Report
from benchmarks.table import Line, Table, markdown, ratio
from benchmarks.workers.common import read as peer_read
from mailworker.mail.arguments import from_arguments
from mailworker.mail.email import Email, Limits
from mailworker.mail.entry import from_entry

MAIL = (
    b"From: shop@example.com\r\nTo: a@example.com\r\nSubject: order bench-a-1\r\n"
    b"Date: Sun, 22 Nov 2026 12:00:00 +0000\r\nMessage-ID: <1@example.com>\r\n\r\nHello\r\n"
)
OPENING = b"MAIL FROM:<shop@example.com>\r\nRCPT TO:<a@example.com>\r\n"


def codes(replies: list[bytes]) -> list[int]:
    return [int(line[:3]) for line in b"".join(replies).split(b"\r\n") if line[3:4] == b" "]


def dialogue(**manner: object) -> tuple[Dialogue, Ledger]:
    ledger = Ledger()
    return Dialogue(Manner(**manner), ledger), ledger  # type: ignore[arg-type]


# The sink.


@pytest.mark.parametrize("step", [1, 7, 100_000])
def test_mails_streamed_with_bdat_are_accepted_however_they_are_cut(step: int) -> None:
    session, ledger = dialogue()
    octets = (OPENING + b"BDAT %d LAST\r\n" % len(MAIL) + MAIL) * 3
    replies: list[bytes] = []
    for begin in range(0, len(octets), step):
        session.feed(octets[begin : begin + step], replies)
    assert codes(replies) == [250, 250, 250] * 3
    report = ledger.report()
    assert report["count"] == 3
    assert report["faults"] == {}


@pytest.mark.parametrize("step", [1, 7, 100_000])
def test_data_ends_at_its_dot_and_loses_its_stuffing(step: int) -> None:
    session, ledger = dialogue()
    octets = OPENING + b"DATA\r\n" + MAIL + b"..\r\n..dots\r\n.\r\nQUIT\r\n"
    replies: list[bytes] = []
    for begin in range(0, len(octets), step):
        ended = session.feed(octets[begin : begin + step], replies)
    assert codes(replies) == [250, 250, 354, 250, 221]
    assert ended
    assert ledger.report()["faults"] == {}


def test_a_server_without_pipelining_reports_commands_sent_together() -> None:
    session, ledger = dialogue(pipelining=False)
    session.feed(OPENING, [])
    assert ledger.report()["faults"] == {"commands sent together without PIPELINING": 1}


def test_bdat_to_a_server_that_did_not_announce_it_is_a_fault_and_ends_the_session() -> None:
    session, ledger = dialogue(chunking=False)
    assert session.feed(OPENING + b"BDAT 3 LAST\r\nabc", [])
    assert ledger.report()["faults"] == {"a command unknown or out of order": 1}


def test_a_server_that_has_had_enough_says_421_and_looks_at_nothing_more() -> None:
    session, ledger = dialogue(mails_per_connection=1)
    replies: list[bytes] = []
    one = OPENING + b"BDAT %d LAST\r\n" % len(MAIL) + MAIL
    assert session.feed(one + one, replies)
    assert session.feed(one, replies)
    assert codes(replies) == [250, 250, 250, 421]
    assert ledger.report()["count"] == 1


def test_the_extensions_that_are_turned_off_are_not_announced() -> None:
    session, _ = dialogue(pipelining=False, chunking=False)
    replies: list[bytes] = []
    session.feed(b"EHLO me\r\n", replies)
    assert b"PIPELINING" not in replies[0]
    assert b"CHUNKING" not in replies[0]


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (MAIL, ""),
        (MAIL.replace(b"Hello", b"Hel\nlo"), "a bare CR or LF"),
        (MAIL.replace(b"Hello", b"Hel\rlo"), "a bare CR or LF"),
        (MAIL.replace(b"Hello", b"x" * 999), "a line over 998 octets"),
        (MAIL.replace(b"Hello\r\n", b"Hello"), "no line break at the end"),
        (MAIL.replace(b"Date:", b"X-Date:"), "no date header"),
        (MAIL.replace(b"Date:", b"From: b@example.com\r\nDate:"), "a header twice"),
        (MAIL.replace(b"bench-a-1", b"something"), "no token in the subject"),
        (MAIL.replace(b"To: a@", b"To: b@"), "a recipient that is not in To"),
        (MAIL.replace(b"Hello", b""), "no body"),
    ],
)
def test_a_malformed_mail_is_named_for_what_is_wrong_with_it(content: bytes, fault: str) -> None:
    _, faults = examine(content, [b"a@example.com"])
    assert faults == ([fault] if fault else [])


def test_a_report_begins_a_new_one() -> None:
    ledger = Ledger()
    ledger.accept(1.5, [b"a@example.com"], MAIL, False)
    assert ledger.report()["seen"] == [("bench-a-1", 1.5)]
    assert ledger.report()["count"] == 0


# The checks.


@pytest.mark.parametrize(
    ("arrived", "faults", "problem"),
    [
        (["a", "b"], {}, ""),
        (["b", "a"], {}, ""),
        (["a"], {}, "1 of 2 mails missing"),
        (["a", "b", "b"], {}, "1 mails twice"),
        (["a", "b", "c"], {}, "1 mails that nobody sent"),
        (["a", "b"], {"no body": 2}, "2 times no body"),
    ],
)
def test_a_run_counts_only_when_each_mail_came_once_and_well_formed(
    arrived: list[str], faults: dict[str, int], problem: str
) -> None:
    report = Report([(name, 0.0) for name in arrived], 0, 1, faults)
    assert complaint(report, ["a", "b"]) == problem


def test_a_failed_run_has_no_rate_and_is_shown_as_failed() -> None:
    table = Table("t", "T", "mails/s", [Line("ours", [None, None]), Line("loop", [2.0, None])], ("loop",))
    text = markdown(table)
    assert "| ours | **FAILED** |" in text
    assert "2, **1 FAILED**" in text


def test_ratios_are_taken_within_each_run() -> None:
    ours, loop = Line("ours", [10.0, 40.0, 90.0]), Line("loop", [1.0, 2.0, 3.0])
    assert ratio(ours, loop) == 20.0
    assert ratio(Line("ours", [None, 40.0, 90.0]), loop) == 25.0
    assert ratio(Line("ours", [None, None, None]), loop) is None


# What is sent.


def test_an_entry_is_what_php_writes() -> None:
    assert entry(token("abc", 7), 3) == (
        b'a:3:{s:2:"to";a:1:{s:23:"bench-abc-7@example.com";s:12:"Someone Else";}'
        b's:7:"subject";s:36:"Your order bench-abc-7 is on its way";s:4:"body";s:3:"Tha";}'
    )


def test_the_peers_and_mailworker_read_the_same_mail_in_an_entry() -> None:
    name = token("abc", 7)
    email = from_entry(entry(name), Limits(mail=10_000, recipients=1000))
    (recipient,) = email.to
    theirs = peer_read(entry(name))
    assert theirs["address"] == recipient.address == f"{name}@example.com"
    assert theirs["name"].encode() == recipient.name
    assert theirs["subject"].encode() == email.subject
    assert theirs["body"].encode() == email.body
    assert len(theirs["body"]) == BODY


@pytest.mark.parametrize("name", sorted(all_contestants()))
def test_the_module_of_each_contestant_is_there(name: str) -> None:
    root = Path(__file__).resolve().parents[2]
    for command in all_contestants()[name].commands(2):
        modules = [word for word in command if word.startswith("benchmarks.workers.")]
        for module in modules:
            assert (root / (module.removesuffix(".huey").replace(".", "/") + ".py")).is_file()


def test_a_far_server_bounds_the_expected_rate_by_its_round_trips() -> None:
    loop = all_contestants()["loop"]
    assert loop.expected_rate(Manner()) == loop.rate
    assert loop.expected_rate(Manner(0.04), processes=5) == pytest.approx(31.25)
    mailworker = all_contestants()["mailworker"]
    assert mailworker.expected_rate(Manner(0.04), processes=5) == pytest.approx(375)
    assert mailworker.expected_rate(Manner(0.04, chunking=False), processes=5) == pytest.approx(125)
    assert mailworker.expected_rate(Manner(0.04, pipelining=False), processes=5) == pytest.approx(31.25)


# What is drawn and planned.


def test_the_chart_is_well_formed_and_has_a_bar_for_each_contestant_that_did_not_fail() -> None:
    table = Table("loopback", "A <backlog>", "mails/s", [Line("ours", [900.0, 1100.0]), Line("x", [None])])
    drawing = ElementTree.fromstring(svg([table]))
    bars = drawing.findall("{http://www.w3.org/2000/svg}rect")
    assert len(bars) == 1
    assert "1,000" in svg([table])


def test_one_worker_far_from_redis_limit_delivers_what_a_worker_can() -> None:
    costs = Costs(redis_seconds=50e-6, worker_rate=1000, children=5, mails_per_call=4)
    assert simulate(costs, workers=1).rate == pytest.approx(1000, rel=0.05)


def test_many_workers_deliver_what_redis_can_and_no_more() -> None:
    costs = Costs(redis_seconds=50e-6, worker_rate=1000, children=5, mails_per_call=4)
    plan = simulate(costs, workers=100)
    assert plan.rate == pytest.approx(1 / 50e-6, rel=0.05)
    assert plan.redis_busy == pytest.approx(1, abs=0.05)


# The profile.


def test_a_sample_counts_for_the_first_group_on_its_stack_and_else_for_the_rest() -> None:
    groups = (("inner", ["module.work"]), ("outer", ["module.main"]))
    stacks = {"module.main;module.work": 6, "module.main;module.idle": 3, "other": 1}
    assert shares(stacks, groups) == {"inner": 0.6, "outer": 0.3, "the rest": 0.1}
    assert shares({}, groups) == {"inner": 0, "outer": 0}


# The mails people send.


@pytest.mark.parametrize("kind", ["text", "html", "file", "shared", "long"])
def test_the_peers_send_the_same_rich_mails_as_mailworker(kind: str) -> None:
    name = token("abc", 7)
    mail = from_arguments((), rich(kind, name), Limits()).mail
    theirs = peer_read(rich_entry(kind, name))
    assert isinstance(mail, Email)
    assert theirs["body"].encode() == mail.body
    assert theirs.get("html", "").encode() == (mail.html or b"")
    files = {file.name: b64encode(file.content or b"").decode() for file in mail.attachments}
    assert theirs.get("attachments", {}) == files


def test_rich_mails_are_as_large_as_they_are_called() -> None:
    assert 45_000 < len(html("x").encode()) < 55_000
    assert len(file("bench-a-1")) == len(file("bench-a-2")) == FILE
    assert file("bench-a-1") != file("bench-a-2")
    assert rich("shared", "a")["attachments"] == rich("shared", "b")["attachments"]
