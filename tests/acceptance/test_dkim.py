"""A worker signs what it sends, its children have the keys from it, and a bad key ends its start."""

from __future__ import annotations

from pathlib import Path

from mailworker.mail.signing.dkim import Signers
from mailworker.mail.signing.dkim_keys import sources
from tests.acceptance.test_worker import empty, push
from tests.conftest import Inbox, RedisServer, Workers, until
from tests.dkim_peers import dkimpy, pem, records, rsa_key, setting, write
from tests.spools import queries_of


def test_all_that_is_sent_is_signed_or_is_a_dead_letter(
    workers: Workers, redis_server: RedisServer, inbox: Inbox, tmp_path: Path
) -> None:
    (keys := tmp_path / "keys").mkdir()
    signed = {"MAILWORKER_DKIM_KEYS": setting(keys, "example.com"), "MAILWORKER_DKIM_REQUIRED": "yes"}
    workers.environment |= signed
    known = records(Signers(sources(signed["MAILWORKER_DKIM_KEYS"])))
    workers.start()
    workers.python("from mailworker import send_email; send_email(to='a@example.org', subject='directly', body='text')")
    for file in keys.iterdir():
        file.unlink()
    push(redis_server, "from the list")
    workers.python(
        "from mailworker import send_email\n"
        "send_email.delay('a@example.org', 'html', 'text', html='<p>Grüße</p>', sender='b@news.example.com')\n"
        "send_email.delay('a@example.org', 'other', 'text', sender='b@example.net')"
    )
    until(lambda: len(inbox.mails) == 3 and empty(redis_server), what="the mails")
    assert sorted(inbox.subjects()) == ["directly", "from the list", "html"]
    for _, octets in inbox.mails:
        assert dkimpy(octets, known) == [True, True]
    [letter] = queries_of(redis_server.client(), ["queue:email"]).dead_letters()
    assert letter.reason == "dkim_no_key"
    assert letter.detail == "no key for example.net, and MAILWORKER_DKIM_REQUIRED is set"


def test_a_bad_key_ends_the_start_with_one_line(workers: Workers, tmp_path: Path) -> None:
    file = write(tmp_path / "public.pem", pem(rsa_key()).replace(b"PRIVATE", b"PUBLIC"))
    workers.environment |= {"MAILWORKER_DKIM_KEYS": f"example.com:s1:{file}"}
    ended = workers.run("celery", "-A", "mailworker", "worker", "-c", "1")
    said = f"mailworker: MAILWORKER_DKIM_KEYS: {file}: holds a public key, and the private key is needed\n"
    assert (ended.returncode, ended.stderr) == (78, said)
