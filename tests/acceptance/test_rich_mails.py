"""Mails with all that people send arrive whole, however they came: by a call, many at once, by name, from the list."""

from __future__ import annotations

import json
import time
from base64 import b64encode
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default

from tests.conftest import Inbox, RedisServer, Workers, until
from tests.spools import queries_of

from .test_ways_to_call import ANOTHER

FILE = b"%PDF " * 4000
LIST = "queue:email"

CALL = """
from mailworker import send_email
file = ("Rechnung Müller.pdf", b"%PDF " * 4000)
send_email.delay(
    to="A <a@example.com>", cc=["c@example.com", "a@example.com"], bcc="b@example.com", reply_to=["r@example.com"],
    subject="rich", html='<p>Hello <img src="cid:logo">', sender="S <s@example.com>", return_path="bounce@example.com",
    headers={"X-A": ["1", "2"]}, attachments=[file], inline={"logo": ("l.png", b"png")},
    list_unsubscribe="https://example.com/u", idempotency_key="rich",
)
"""
MANY = (
    CALL
    + """
told = []
for _ in range(2):
    results = send_email.many(
        recipients=[{"to": f"m{n}@example.com", "idempotency_key": f"m{n}"} for n in range(300)],
        subject="many", body="b", attachments=[file], progress=lambda safe, of: told.append((safe, of)),
    )
print(told, len(results), results.ids[-1])
"""
)
BY_NAME = (
    ANOTHER
    + """
import base64
send("named", expires=datetime.now(timezone.utc) + timedelta(hours=1))
def call(id, **kwargs):
    app.send_task("mailworker.send_email", kwargs=dict(to="n@example.com", subject=id, **kwargs), task_id=id)
call("by name", html="<p>x", attachments=[{"name": "a.bin", "content": base64.b64encode(b"x" * 9000).decode()}])
call("path", body="b", attachments=["/etc/hostname"])
call("first", body="b", idempotency_key="one")
call("second", body="another", idempotency_key="one")
"""
)


def messages(inbox: Inbox, subject: str) -> list[tuple[list[str], EmailMessage]]:
    head = f"\r\nSubject: {subject}\r\n".encode()
    found = [(to, octets) for to, octets in list(inbox.mails) if head in b"\r\n" + octets[:2000]]
    return [(to, message_from_bytes(octets, policy=default)) for to, octets in found]


def files_of(message: EmailMessage) -> list[tuple[str | None, bytes]]:
    return [(part.get_filename(), part.get_payload(decode=True)) for part in message.iter_attachments()]


def test_mails_with_all_that_people_send_arrive_whole_and_leave_nothing_behind(
    workers: Workers, redis_server: RedisServer, inbox: Inbox
) -> None:
    workers.start(MAILWORKER_LEGACY_FIELDS="html,cc,attachments,send_at")
    client = redis_server.client()
    at = time.time() + 2
    entry = {
        "to": "l@example.com", "subject": "listed", "body": "b", "html": "<p>x", "cc": {"lc@example.com": ""},
        "bcc": "not.allowed@example.com", "attachments": {"a.pdf": b64encode(FILE).decode()},
    }  # fmt: skip
    client.lpush(LIST, json.dumps({**entry, "subject": "later", "send_at": at}))
    client.lpush(LIST, json.dumps(entry))
    said = workers.python(MANY + BY_NAME)
    assert said == "[(250, 300), (300, 300), (250, 300), (300, 300)] 300 m299\n"

    until(lambda: len(inbox.mails) >= 306, what=lambda: f"306 mails: {len(inbox.mails)}")
    [(to, message)] = messages(inbox, "rich")
    assert sorted(to) == ["a@example.com", "b@example.com", "c@example.com"]
    assert (message["to"], message["cc"], message["bcc"]) == ("A <a@example.com>", "c@example.com", None)
    assert (message["from"], message.get_all("x-a")) == ("S <s@example.com>", ["1", "2"])
    assert message["list-unsubscribe-post"] == "List-Unsubscribe=One-Click"
    assert files_of(message) == [("Rechnung Müller.pdf", FILE)]
    text = message.get_body(("plain",))
    assert text is not None
    assert "Hello" in text.get_content()
    many = messages(inbox, "many")
    assert len({tuple(to) for to, _ in many}) == len(many) == 300
    assert all(files_of(message) == [("Rechnung Müller.pdf", FILE)] for _, message in many[::30])
    [(to, message)] = messages(inbox, "listed")
    assert (sorted(to), files_of(message)) == (["l@example.com", "lc@example.com"], [("a.pdf", FILE)])
    assert files_of(messages(inbox, "by name")[0][1]) == [("a.bin", b"x" * 9000)]
    assert len(messages(inbox, "named")) == len(messages(inbox, "first")) == 1

    until(lambda: messages(inbox, "later"), what="the entry that waits")
    assert time.time() >= at
    letters = until(lambda: len(found := list(queries_of(client, [LIST]).dead_letters())) == 2 and found)
    assert sorted((letter.id, letter.reason) for letter in letters) == [
        ("path", "bad_field"),
        ("second", "bad_arguments"),
    ]
    until(lambda: not client.keys("mailworker:blob*"), what="no file left over")
