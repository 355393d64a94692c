"""A caller's type checker and editor know `send_email` of the installed package: what would raise is refused."""

from __future__ import annotations

import re
import subprocess
from collections import defaultdict
from pathlib import Path

import pytest

from .conftest import Site

BEGIN = "from datetime import datetime\n\nfrom mailworker import MailFailed, send_email\n\n"
MAIL = '"a@example.com", "s", "b"'

GOOD = {
    "by position": f"send_email.delay({MAIL})",
    "by name": 'send_email.delay(body="b", subject="s", to="A Name <a@example.com>")',
    "a list": 'send_email.delay(to=["a@example.com", "b@example.com"], subject="s", body="b")',
    "a list that has a name": 'people = ["a@example.com"]\nsend_email.delay(people, "s", "b")',
    "a tuple": 'send_email.delay(to=("a@example.com",), subject="s", body="b")',
    "a set": 'send_email.delay(to={"a@example.com"}, subject="s", body="b")',
    "addresses and names": 'send_email.delay(to={"a@example.com": "A", "b@example.com": None}, subject="s", body="b")',
    "names that are known": 'people = {"a@example.com": "A"}\nsend_email.delay(people, "s", "b")',
    "what PHP makes of a list": 'send_email.delay(to={0: "a@example.com"}, subject="s", body="b")',
    "the result": f"mail_id: str = send_email.delay({MAIL}).id",
    "sent there and then": f"message_id: str = send_email({MAIL})",
    "later": f'send_email.apply_async(({MAIL}), task_id="order-7", countdown=2.5)',
    "at a time": f"send_email.apply_async([{MAIL}], eta=datetime.now())",
    "with names": 'send_email.apply_async(kwargs={"to": "a@example.com", "subject": "s", "body": "b"}, shadow="x")',
    "eager": f"send_email.apply(({MAIL})).id.upper()",
    "everything": """
from pathlib import Path
send_email.delay(
    to="a@example.com", subject="s", html="<p>", cc=["c@example.com"], bcc={"b@example.com": "B"},
    reply_to="r@example.com", sender="S <s@example.com>", return_path="",
    headers={"X-A": "1", "X-B": ["2", "3"]},
    attachments=["a.pdf", Path("b.pdf"), ("c.txt", b"c"), ("d.ics", "d", "text/calendar; method=REQUEST")],
    inline={"logo": "logo.png", "b": ("b.png", b"b")}, list_unsubscribe=["https://example.com/u"],
    dsn={"notify": ["FAILURE", "DELAY"], "ret": "HDRS"}, idempotency_key="k", send_at=datetime.now(), expires=60,
)
""",
    "a template": 'send_email.delay(to=["a@example.com"], template="welcome", context={"name": "A", "number": 7})',
    "several files": 'from pathlib import Path\nfiles = [Path("a"), Path("b")]\n'
    'send_email.delay(to=(x for x in ["a@example.com"]), subject="s", body="b", attachments=files)',
    "another mail under the same key": "from mailworker import IdempotencyError\n"
    f'try:\n    send_email.apply_async(({MAIL}), task_id="k", expires=3)\nexcept IdempotencyError: pass',
    "many": """
from mailworker import Mail, ManyError
rows: list[Mail] = [{"to": "a@example.com", "subject": "s", "body": "b"}]
rows.append({"to": ["b@example.com"], "subject": "s", "html": "<p>", "attachments": ["a.pdf"]})
mails = send_email.many(rows, sender="s@example.com")
ids: tuple[str, ...] = mails.ids
first: str = mails[0].id
send_email.many(
    recipients=[("a@example.com", {"name": "A"}), ("b@example.com", {})], subject="s", template="t",
    attachments=["a.pdf"], progress=lambda safe, of: print(safe, of),
)
try:
    send_email.many(recipients=(x for x in ["a@example.com"]), subject="s", body="b")
except ManyError as error:
    index: int = error.index
""",
    "a finished message": """
from email.message import EmailMessage
from mailworker import send_raw
mail_id: str = send_raw.delay(EmailMessage(), idempotency_key="k", expires=60, dsn={"notify": "NEVER"}).id
message_id: str = send_raw(b"From: a@example.com", "", ["b@example.com"])
""",
    "a test's mails": """
from mailworker.testing import Message, keeping
with keeping() as outbox:
    mails: list[Message] = outbox
    names: tuple[str, ...] = mails[0].recipients
    subject: str = mails[0].message["subject"]
""",
    "its errors": f"try:\n    send_email({MAIL})\nexcept MailFailed as error:\n    reason: str = error.reason",
}
WRONG = {
    "a message that is no message": (
        "from mailworker import send_raw\nsend_raw.delay(7)", 'Argument 1 to "delay" of "SendRaw"',
    ),
    "an unknown argument": ('send_email.delay(too="x")', 'Unexpected keyword argument "too" for "delay"'),
    "a number for a text": (
        'send_email.delay(to="a@example.com", subject=3, body="b")', 'Argument "subject" to "delay" of "SendEmail" has'
    ),
    "octets": ('send_email.delay(to="a@example.com", subject="s", body=b"b")', 'Argument "body" to "delay"'),
    "an attachment that is a number": (f"send_email.delay({MAIL}, attachments=[7])", "List item 0 has incompatible"),
    "octets alone": (f'send_email.delay({MAIL}, attachments=[b"x"])', "List item 0 has incompatible type"),
    "HTML by position": (f'send_email.delay({MAIL}, "<p>")', 'Too many positional arguments for "delay"'),
    "a header that is a number": (f'send_email.delay({MAIL}, headers={{"X": 7}})', "Dict entry 0"),
    "a number for a text of one of many": ('send_email.many([{"to": "a", "subject": 7}])', "incompatible type"),
    "an argument of many that there is not": ('send_email.many([], too="x")', 'Unexpected keyword argument "too"'),
    "a number for an address": ('send_email.delay(7, "s", "b")', 'Argument 1 to "delay"'),
    "a list of numbers": ('send_email.delay([7], "s", "b")', "List item 0 has incompatible type"),
    "names that are lists": ('send_email.delay({"a@example.com": ["A"]}, "s", "b")', "incompatible type"),
    "the result for an id": (f"mail_id: str = send_email.delay({MAIL})", 'expression has type "MailResult"'),
    "a direct call's result": (f"number: int = send_email({MAIL})", 'expression has type "str"'),
    "an id that is a number": (f"send_email.apply_async(({MAIL}), task_id=7)", 'Argument "task_id" to "apply_async"'),
    "a wait that is a text": (f'send_email.apply_async(({MAIL}), countdown="2")', 'Argument "countdown"'),
    "one text for all arguments": ('send_email.apply_async("a@example.com")', 'Argument 1 to "apply_async"'),
    "an error's missing field": ('MailFailed("x").why', '"MailFailed" has no attribute "why"'),
}  # fmt: skip


def file_of(case: str) -> str:
    return re.sub(r"\W+", "_", case) + ".py"


@pytest.fixture(scope="module")
def told(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What mypy says of each file. One run for all of them."""
    folder = tmp_path_factory.mktemp("callers")
    for case, code in GOOD.items():
        (folder / file_of(case)).write_text(BEGIN + code + "\n")
    for case, (code, _) in WRONG.items():
        (folder / file_of(case)).write_text(BEGIN + code + "\n")
    said = subprocess.run(
        [installed / "bin" / "python", "-m", "mypy", "--strict", "--no-pretty", "--cache-dir", folder / "cache",
         "--config-file", "", *sorted(folder.glob("*.py"))],
        cwd=folder, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert said.returncode == 1, said.stdout + said.stderr
    errors = defaultdict(list)
    for line in said.stdout.splitlines():
        if ": error: " in line:
            errors[Path(line.partition(":")[0]).name].append(line)
    return errors


@pytest.mark.parametrize("case", GOOD)
def test_a_call_that_works_passes(case: str, told: dict[str, list[str]]) -> None:
    assert told.get(file_of(case), []) == []


@pytest.mark.parametrize("case", WRONG)
def test_a_call_that_would_raise_is_refused_for_its_reason(case: str, told: dict[str, list[str]]) -> None:
    assert any(WRONG[case][1] in line for line in told[file_of(case)])


def test_what_is_shown_at_run_time_has_the_arguments_and_their_types(site: Site) -> None:
    said = site.run(
        "python",
        "-c",
        "import inspect, mailworker\n"
        "for called in (mailworker.send_email, mailworker.send_email.delay): print(inspect.signature(called))\n"
        "print(dir(mailworker))\n"
        "help(mailworker.send_email)",
    ).stdout
    signature, of_delay, names, shown = said.split("\n", 3)
    assert re.fullmatch(
        r"\(to: str \| list\[str\] .*, subject: str = '', body: str \| None = None, \*, html: .*\) -> str", signature
    )
    assert of_delay.startswith(signature.rpartition(" -> ")[0])
    assert {"send_email", "app", "MailFailed", "SpoolError"} <= set(re.findall(r"\w+", names))
    assert all(f"{name}:" in shown or f"{name}," in shown for name in re.findall(r"(\w+): ", signature))
    assert "send_email.delay(to=…, subject=…, body=…)" in shown
    assert "Unsendable" in shown


def test_the_public_names_cost_a_program_nothing_until_it_asks(site: Site) -> None:
    said = site.run(
        "python",
        "-c",
        "import sys, mailworker\n"
        "print([name for name in sys.modules if name.startswith(('mailworker.', 'celery', 'redis', 'pydantic'))])\n"
        "from mailworker import (IdempotencyError, MailDeferred, MailFailed, MailworkerError, SettingsError,\n"
        "    SmtpError, SpoolError, Unsendable)\n"
        "print([name for name in sys.modules if name.startswith(('mailworker.', 'celery', 'redis', 'pydantic'))])\n"
        "assert all(issubclass(getattr(mailworker, name), MailworkerError) for name in mailworker.__all__\n"
        "    if name[0].isupper() and name != 'Mail')",
    )
    assert said.stdout.splitlines() == ["[]", "['mailworker.errors']"], said.stderr
