"""Pool children are born whole, or replaced; and the worker outlives whatever becomes of them."""

from __future__ import annotations

import os
import signal
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from mailworker.mail.address import Mailbox
from mailworker.mail.email import Email
from mailworker.mail.entry import to_php
from tests.conftest import Inbox, RedisServer, Workers, settings_for, until
from tests.integration.certificates import CA

QUEUE = "queue:email"
GOOD = str(Path(CA).with_name("good.pem"))


def children(worker: subprocess.Popen[bytes]) -> list[int]:
    found = Path(f"/proc/{worker.pid}/task/{worker.pid}/children").read_text().split()
    return [int(process) for process in found]


def kill(process: int) -> None:
    try:
        os.kill(process, signal.SIGKILL)
    except ProcessLookupError:
        return


def push(client: redis.Redis, subject: str) -> None:
    client.lpush(QUEUE, to_php(Email((Mailbox("a@example.com"),), subject.encode(), b"text")))


class TlsRedis(RedisServer):
    @property
    def url(self) -> str:
        return f"rediss://127.0.0.1:{self.port}/0?ssl_ca_certs={self.folder / 'bundle.pem'}"

    def client(self) -> redis.Redis:
        return redis.Redis(port=self.port, socket_timeout=5, ssl=True, ssl_ca_certs=CA)


@pytest.fixture
def tls_redis(tmp_path: Path) -> Iterator[TlsRedis]:
    """With a CA bundle ten times as long as the system's: a thread that connects is a long time in OpenSSL."""
    folder = tmp_path / "redis"
    folder.mkdir()
    system = ssl.get_default_verify_paths().cafile or "/etc/ssl/certs/ca-certificates.crt"
    bundle = Path(system).read_text() if Path(system).is_file() else ""
    (folder / "bundle.pem").write_text(bundle * 10 + Path(CA).read_text())
    server = TlsRedis(folder, "--port", "0", "--tls-cert-file", GOOD, "--tls-key-file", GOOD, "--tls-ca-cert-file", CA,
                      "--tls-auth-clients", "no")  # fmt: skip
    server.options = (*server.options, "--tls-port", str(server.port))
    server.start()
    yield server
    server.stop()


def test_no_child_is_born_with_a_lock_that_a_thread_held_at_the_fork(
    tls_redis: TlsRedis, tmp_path: Path, inbox: Inbox
) -> None:
    """The threads connect all the time, and the pool forks all the time: https://bugs.python.org/issue6721."""
    workers = Workers(tmp_path, settings_for(tls_redis.url, inbox.url))
    whole = tmp_path / "whole"
    whole.touch()
    (tmp_path / "celeryconfig.py").write_text(WHOLE.format(mark=whole, bundle=tls_redis.folder / "bundle.pem"))
    over = threading.Event()

    def cut() -> None:
        """The spool's connections, and not the broker's, or the pool would make no children meanwhile."""
        client = tls_redis.client()
        while not over.wait(0.02):
            for peer in client.client_list():
                if peer["cmd"] in ("blmove", "evalsha"):
                    client.client_kill_filter(_id=peer["id"])

    cutter = threading.Thread(target=cut)

    def ready() -> set[int]:
        return {int(line) for line in whole.read_text().split()}

    try:
        worker = workers.start("-c", "4")
        cutter.start()
        deadline = time.monotonic() + 2 * FORKS
        while len(ready()) < FORKS and time.monotonic() < deadline:
            for child in ready().intersection(children(worker)):
                kill(child)
            time.sleep(0.05)
        over.set()
        cutter.join()
        until(lambda: len(found := children(worker)) == 4 and ready().issuperset(found), 20, "four whole children")
        push(tls_redis.client(), "goes")
        until(lambda: inbox.subjects() == ["goes"], 20, "the mail")
    finally:
        over.set()
        workers.stop()


WHOLE = """
from celery import signals
@signals.worker_process_init.connect(weak=False)
def whole(**_):
    import os, socket, ssl
    ssl.create_default_context(cafile="{bundle}")
    socket.getaddrinfo("localhost", 25)
    with open("{mark}", "a") as mark:
        mark.write(str(os.getpid()) + chr(10))
"""
FORKS = int(os.environ.get("MANY_FORKS", "24"))

HANG = """
import os, signal, mailworker.worker.prefork
mailworker.worker.prefork.READY_SECONDS = {seconds}
def hang():
    try:
        os.unlink("{mark}")
    except FileNotFoundError:
        return
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    while True:
        signal.pause()
os.register_at_fork(after_in_child=hang)
"""


def hang_once(workers: Workers, seconds: float) -> None:
    """The first child that is forked stands still for ever, as one that waits for a lock does."""
    mark = workers.folder / "hang"
    mark.touch()
    (workers.folder / "celeryconfig.py").write_text(HANG.format(seconds=seconds, mark=mark))


def test_the_only_child_hangs_at_birth_and_is_replaced_and_told(
    workers: Workers, redis_server: RedisServer, inbox: Inbox
) -> None:
    hang_once(workers, 3)
    worker = workers.start("-c", "1")
    (hung,) = children(worker)
    push(redis_server.client(), "waits")
    until(lambda: inbox.subjects() == ["waits"], 20, "the mail")
    assert f"WARNING/MainProcess] pool child {hung} was not ready after 3 s" in workers.log().read_text()
    assert hung not in children(worker)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGQUIT])
def test_a_worker_whose_only_child_hangs_ends_when_it_is_told_to(
    workers: Workers, redis_server: RedisServer, number: signal.Signals
) -> None:
    hang_once(workers, 600)
    worker = workers.start("-c", "1")
    (hung,) = children(worker)
    worker.send_signal(number)
    worker.wait(15)
    assert not Path(f"/proc/{hung}").exists()


def test_the_worker_outlives_children_that_are_killed_as_soon_as_they_appear(
    workers: Workers, redis_server: RedisServer, inbox: Inbox
) -> None:
    """Celery ends then: "Could not start worker processes" at the start, `RestartFreqExceeded` later."""
    over = threading.Event()
    killed: set[int] = set()

    def strike() -> None:
        while not over.wait(0.005):
            for worker in list(workers.processes):
                if worker.poll() is None:
                    killed.update(children(worker))
                    for child in children(worker):
                        kill(child)

    striker = threading.Thread(target=strike)
    striker.start()
    try:
        worker = workers.start("-c", "3")
        time.sleep(8)  # the strike itself, and no wait
        over.set()
        striker.join()
        assert worker.poll() is None
        push(redis_server.client(), "after it")
        until(lambda: inbox.subjects() == ["after it"], 30, "a mail")
        assert len(killed) > 10
        assert workers.log().read_text().count("pool children die one after the other") == 1
        until(lambda: "all 3 pool children are there" in workers.log().read_text(), 20, "all children")
    finally:
        over.set()
        striker.join()


@pytest.mark.parametrize(
    ("limit", "most", "words"),
    [("RLIMIT_NOFILE", 100, "open files"), ("RLIMIT_NOFILE", 72, "open files")],
)
def test_a_small_limit_is_told_in_one_line_and_the_worker_goes_on_with_fewer(
    workers: Workers, redis_server: RedisServer, inbox: Inbox, limit: str, most: int, words: str
) -> None:
    (workers.folder / "celeryconfig.py").write_text(
        f"import resource; resource.setrlimit(resource.{limit}, ({most}, {most}))\n"
    )
    worker = workers.start("-c", "12")
    push(redis_server.client(), "goes")
    until(lambda: inbox.subjects() == ["goes"], 20, "the mail")
    told = [line for line in workers.log().read_text().splitlines() if words in line]
    assert len(told) == 1
    assert 1 <= len(children(worker)) < 12
    worker.terminate()
    assert worker.wait(20) == 0


def test_a_system_that_gives_no_further_process_is_told_once_and_tried_again(
    workers: Workers, redis_server: RedisServer, inbox: Inbox
) -> None:
    """`os.fork` says EAGAIN at RLIMIT_NPROC and at pids.max of a container. (As root the limit does not hold.)"""
    mark = workers.folder / "full"
    mark.touch()
    (workers.folder / "celeryconfig.py").write_text(
        f"""
import errno, os
_fork, _forks = os.fork, []
def fork():
    if os.path.exists("{mark}") and len(_forks) >= 2:
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
    _forks.append(1)
    return _fork()
os.fork = fork
"""
    )
    worker = workers.start("-c", "4")
    push(redis_server.client(), "goes")
    until(lambda: inbox.subjects() == ["goes"], 20, "the mail")
    assert len(children(worker)) == 1  # one of two is left for the threads
    descriptors = len(os.listdir(f"/proc/{worker.pid}/fd"))
    time.sleep(3)  # three further attempts
    assert len(os.listdir(f"/proc/{worker.pid}/fd")) <= descriptors + 2
    assert workers.log().read_text().count("no further pool child can be started") == 1
    assert "RLIMIT_NPROC" in workers.log().read_text()
    mark.unlink()
    until(lambda: len(children(worker)) == 4, 20, "all children")
    until(lambda: "all 4 pool children are there" in workers.log().read_text(), 20, "the good news")
