"""A worker, a producer and the commands work over a socket, and end at a wrong option with one line."""

from __future__ import annotations

from pathlib import Path

from tests.conftest import Inbox, RedisServer, Workers, settings_for, until


def test_the_whole_line_over_a_socket(tmp_path: Path, inbox: Inbox) -> None:
    (tmp_path / "r").mkdir()
    server = RedisServer(tmp_path / "r", "--unixsocket", str(tmp_path / "r" / "s"))
    server.start()
    workers = Workers(tmp_path, settings_for(f"unix://{tmp_path}/r/s?db=2&client_name=shop", inbox.url))
    try:
        workers.start()
        workers.python("from mailworker import send_email\nsend_email.delay(to='a@b.org', subject='hi', body='b')")
        until(lambda: inbox.subjects() == ["hi"], what="the mail")
        assert workers.run("mailworker", "status").returncode == 0
        workers.environment["MAILWORKER_REDIS_URL"] += "&nonsense=1"
        for command in (("mailworker", "status"), ("celery", "-A", "mailworker", "worker")):
            ended = workers.run(*command)
            assert ended.returncode == 78
            assert ended.stderr == "mailworker: MAILWORKER_REDIS_URL: the option nonsense is not known\n"
    finally:
        workers.stop()
        server.stop()
