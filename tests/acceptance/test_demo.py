"""`mailworker demo`: three mails arrive, and whatever ends it, no process and no file is left."""

from __future__ import annotations

import base64
import os
import re
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailworker.demo import demo, producer, redis_server
from mailworker.demo.errors import DemoError

from ..conftest import BIN, need, until

# What a site may have set, and a demo must not even look at.
SITE = {"MAILWORKER_REDIS_URL": "redis://127.0.0.1:1/0", "MAILWORKER_NO_SUCH_SETTING": "1", "FLOWER_PORT": "1"}


class Demo:
    """The real command, in a folder with a site's own settings and with a temporary folder of its own."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.temporary = folder / "tmp"
        self.temporary.mkdir()
        (folder / ".env").write_text("MAILWORKER_SMTP_URL=nonsense\n")
        (folder / "celeryconfig.py").write_text("raise SystemExit('not the demo\\'s')\n")
        self.output = folder / "output"
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [str(BIN / "mailworker"), "demo", *options], cwd=folder, stdout=output, stderr=output,
                env={**os.environ, **SITE, "TMPDIR": str(self.temporary)}, start_new_session=True,
            )  # fmt: skip

    def said(self) -> str:
        return self.output.read_text()

    def started(self, what: str) -> str:
        """Waits for what it says, and returns all that it said."""

        def look() -> bool:
            assert self.process.poll() is None, self.said()
            return what in self.said()

        until(look, 60, what)
        return self.said()

    def family(self) -> dict[int, str]:
        """The commands of its children and their children, by process id."""
        table = subprocess.run(["ps", "-wweo", "pid=,ppid=,args="], capture_output=True, text=True, check=True).stdout
        rows = [line.split(None, 2) for line in table.splitlines()]
        found: dict[int, str] = {}
        parents = {self.process.pid}
        while parents:
            born = {int(pid): args for pid, parent, args in rows if int(parent) in parents}
            found.update(born)
            parents = set(born)
        return found

    def ends(self, family: dict[int, str]) -> int:
        """The exit code. Fails where a process or a file is left."""
        code = self.process.wait(60)
        until(lambda: not any(lives(pid) for pid in family), 5, f"the end of {family}")
        assert list(self.temporary.iterdir()) == []
        return code

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(60)


def lives(pid: int) -> bool:
    """False for a process that is gone, or that only waits for its parent to notice."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return bool(state) and not state.startswith("Z")


def get(url: str, login: str | None = None) -> tuple[int, str]:
    request = urllib.request.Request(url)
    if login:
        request.add_header("Authorization", "Basic " + base64.b64encode(login.encode()).decode())
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code, ""


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Demo]:
    demo = Demo(tmp_path)
    yield demo
    demo.stop()


def test_once_it_ends_by_itself_after_its_mails_arrived(tmp_path: Path) -> None:
    demo = Demo(tmp_path, "--once")

    assert demo.ends({}) == 0, demo.said()
    assert demo.said().splitlines()[-1] == "3 of 3 delivered"


def test_it_says_where_to_look_and_what_is_there(running: Demo) -> None:
    said = running.started("3 of 3 delivered\n")
    inbox = re.search(r"inbox +(http://127\.0\.0\.1:\d+/)", said)
    flower = re.search(r"flower +(http://127\.0\.0\.1:\d+)/  \(user (\S+), password (\S+)\)", said)
    assert inbox
    assert flower

    status, page = get(inbox[1])
    assert status == 200
    assert demo.LEGACY_SUBJECT in page
    assert producer.TEXT_SUBJECT in page
    assert producer.RICH_SUBJECT in page
    mails = [get(inbox[1].rstrip("/") + link)[1] for link in re.findall(r'href="(/mails/\d+)"', page)]
    assert len(mails) == 3
    assert "Ελλάδα" in "".join(mails)
    assert "Rechnung 4711 für Grace.csv</a>" in "".join(mails)
    assert "See your order &lt;https://example.com/orders/4711?key=r7&gt;" in "".join(mails)
    assert get(flower[1] + "/api/tasks")[0] == 401
    assert get(flower[1] + "/api/tasks", f"{flower[2]}:{flower[3]}")[0] == 200


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_and_leaves_nothing(running: Demo, number: signal.Signals) -> None:
    running.started("until Ctrl-C")
    family = running.family()
    assert all(any(part in args for args in family.values()) for part in ("redis-server", " worker ", " flower "))

    running.process.send_signal(number)

    assert running.ends(family) == 0


def test_ctrl_c_while_it_starts_leaves_nothing(running: Demo) -> None:
    family = until(lambda: len(running.family()) >= 3 and running.family(), what="its children")

    running.process.send_signal(signal.SIGINT)

    assert running.ends(family) == 0
    assert "Traceback" not in running.said()


@pytest.mark.parametrize(("command", "name"), [("worker", "The worker"), ("flower", "Flower")])
def test_a_child_that_dies_ends_it_and_is_named(running: Demo, command: str, name: str) -> None:
    running.started("until Ctrl-C")
    family = running.family()
    victim = next(pid for pid, args in family.items() if f"mailworker {command}" in args)

    os.kill(victim, signal.SIGKILL)

    assert running.ends(family) == 1
    assert f"mailworker: {name} ended with exit code -9; it last said:\n" in running.said()
    assert "Traceback" not in running.said()


def test_make_demo_is_this_command() -> None:
    root = Path(__file__).parent.parent.parent
    said = subprocess.run(
        [need("make"), "--no-print-directory", "-n", "demo", "ONCE=1"],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    assert said.splitlines()[-1] == ".venv/bin/mailworker demo --once"


def program(folder: Path, name: str, text: str) -> str:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def test_a_redis_server_that_does_not_run_or_is_too_old_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = program(tmp_path, "broken", "exit 127")
    old = program(tmp_path, "old", "echo Redis server v=6.0.16 sha=0")
    good = program(tmp_path, "good", "echo Redis server v=6.2.14 sha=0")

    monkeypatch.setattr(redis_server, "_candidates", lambda: iter([str(tmp_path / "absent"), broken, old, good]))
    assert redis_server.find() == good

    monkeypatch.setattr(redis_server, "_candidates", lambda: iter([broken, old]))
    with pytest.raises(DemoError, match=re.escape("mailworker[demo]")):
        redis_server.find()
