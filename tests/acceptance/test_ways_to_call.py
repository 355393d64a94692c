"""However a program uses Celery to send a mail, there is a record of it, and no option of a message hurts it."""

from __future__ import annotations

from mailworker.spool import Queries
from tests.conftest import Inbox, RedisServer, Workers, until
from tests.spools import queries_of

# Another program, which knows the task's name and its queue and has nothing of ours.
ANOTHER = """
import os
from datetime import datetime, timedelta, timezone
from celery import Celery, signature
from celery.canvas import xmap, xstarmap, chunks
app = Celery(broker=os.environ["MAILWORKER_REDIS_URL"])
app.conf.task_default_queue = "mailworker"
def mail(name, **more):
    return dict(to=f"secret-{name}@example.com", subject=name, body="b", **more)
def send(name, **options):
    app.send_task("mailworker.send_email", kwargs=mail(name), task_id=name, **options)
"""


def of(server: RedisServer) -> Queries:
    return queries_of(server.client(), ["queue:email"])


def test_map_starmap_and_chunks_by_name_give_each_mail_a_record_and_show_none(
    workers: Workers, redis_server: RedisServer, inbox: Inbox
) -> None:
    workers.start("-l", "DEBUG")
    workers.python(
        ANOTHER + "rows = [('secret-a@example.com', 'one', 'b'), ('secret nobody', 'two', 'b'), (1,),"
        " ('secret-b@example.com', 'three', 'b')]\n"
        "task = signature('mailworker.send_email', app=app)\n"
        "xstarmap(task, rows, app=app).apply_async(task_id='stars')\n"
        "chunks(task, [('secret-c@example.com', 'four', 'b'), ('secret-d@example.com', 'five', 'b')], 1, app=app)"
        ".apply_async()\n"
        "xmap(task, ['secret-e@example.com'], app=app).apply_async(task_id='maps')\n"
    )
    until(lambda: sorted(inbox.subjects()) == ["five", "four", "one", "three"], what="the good ones")
    letters = until(lambda: len(found := list(of(redis_server).dead_letters())) == 3 and found, what="the bad ones")
    assert sorted((letter.id, letter.reason) for letter in letters) == [
        ("maps-0", "bad_arguments"),
        ("stars-1", "bad_address"),
        ("stars-2", "bad_arguments"),
    ]
    assert "secret" not in workers.log().read_text()


def test_no_option_of_another_program_s_message_loses_a_mail_or_kills_a_child(
    workers: Workers, redis_server: RedisServer, inbox: Inbox
) -> None:
    workers.python(
        ANOTHER + "now = datetime.now(timezone.utc)\n"
        "send('expired', expires=now - timedelta(hours=1))\n"
        "send('limited', time_limit=1, soft_time_limit=1)\n"
        "send('late', countdown=8)\n"
        "send('compressed', compression='gzip')\n"
        "send('shown', argsrepr='secret', kwargsrepr='secret', shadow='a secret name')\n"
    )
    inbox.gate.clear()
    worker = workers.start("-c", "5")
    until(lambda: inbox.begun >= 3, what="three mails under way")
    (late,) = until(lambda: [r for r in [redis_server.client().hget("mailworker:mail:late", "state")] if r])
    assert late == b"deferred"  # it waits in the spool, and not in a worker
    until(lambda: inbox.begun == 4, what="the fourth, longer after the limit of one than that")
    inbox.gate.set()
    until(lambda: sorted(inbox.subjects()) == ["compressed", "late", "limited", "shown"], what="four mails")
    (letter,) = of(redis_server).dead_letters()
    assert (letter.id, letter.reason) == ("expired", "expired")  # as its program wanted, and nothing is lost
    assert worker.poll() is None
    assert "secret" not in workers.log().read_text()


def test_junk_for_the_other_tasks_does_no_harm(workers: Workers, redis_server: RedisServer, inbox: Inbox) -> None:
    workers.start()
    workers.python(
        ANOTHER + "for name, queue in (('deliver', 'mailworker'), ('bridge', 'mailworker.bridge')):\n"
        "    for args in ([], [None], [7], [''], ['x'], [['x']], [[]], [{}], [[None, 7, {}, ['y']]], ['a', 'b'],"
        " [['order'] * 300]):\n"
        "        app.send_task('mailworker.' + name, args=args, queue=queue)\n"
    )
    workers.python("from mailworker import send_email; send_email.delay('a@example.com', 'after', 'b')")
    until(lambda: inbox.subjects() == ["after"], what="the mail after the junk")
    until(lambda: not any(redis_server.client().llen(queue) for queue in ("mailworker", "mailworker.bridge")))
    assert not any(of(redis_server).status()["states"].values())


def test_a_call_returns_what_never_waits_and_group_and_eager_calls_are_safe(
    workers: Workers, redis_server: RedisServer, inbox: Inbox
) -> None:
    workers.start()
    said = workers.python(
        "import os; os.environ['MAILWORKER_EAGER'] = 'send'\n"
        "from celery import group, signature, chain, Celery\n"
        "from mailworker import app, send_email\n"
        "def mail(name): return dict(to='a@example.com', subject=name, body='b')\n"
        "print(send_email.delay(**mail('delay')).get(timeout=5))\n"
        "group(signature(send_email, kwargs=mail(f'group {n}')) for n in (1, 2)).apply_async()\n"
        "app.send_task('mailworker.send_email', kwargs=mail('name'), headers={'to': 'secret'},"
        " serializer='pickle', retry_policy={'max_retries': 0}, shadow='secret')\n"
        "try:\n"
        "    chain(signature(send_email, kwargs=mail('first')), signature(send_email, kwargs=mail('second')))()\n"
        "except TypeError as error:\n"
        "    print(error)\n"
        "print(send_email.apply(kwargs=mail('apply')).state)\n"
        "app.conf.task_always_eager = True\n"
        "print(send_email.delay(**mail('eager')).state)\n"
    )
    assert said.splitlines()[0] == "None"
    assert said.splitlines()[1].startswith("send_email: chain: ")
    assert said.splitlines()[2:] == ["SUCCESS", "SUCCESS"]
    wanted = ["apply", "delay", "eager", "group 1", "group 2", "name"]
    until(lambda: sorted(inbox.subjects()) == wanted, what="six mails")


def test_an_eager_call_raises_what_went_wrong_as_nothing_has_a_record_of_it(workers: Workers, inbox: Inbox) -> None:
    inbox.answer_to_rcpt = lambda _: "550 no"
    said = workers.python(
        "import os; os.environ['MAILWORKER_EAGER'] = 'send'\n"
        "from mailworker import app, send_email\n"
        "from mailworker.errors import MailFailed\n"
        "app.conf.task_always_eager = True\n"
        "for call in (send_email.delay, lambda *mail: send_email.apply(mail)):\n"
        "    try: call('a@example.com', 's', 'b')\n"
        "    except MailFailed as error: print(error.reason)\n"
    )
    assert said.split() == ["recipient_refused"] * 2
