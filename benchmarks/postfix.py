"""A Postfix of our own: its folders, its port, its log. It takes mail for all but two recipients, and delivers none."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from .stage import PATIENCE, Failed, Report, free_port

_DELIVERED = re.compile(rb"discard\[\d+\]: \w+: to=<([^@>]*)@.*status=sent")
MAIN = """\
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
maillog_file = {folder}/log
maillog_file_prefixes = {folder}
mail_owner = postfix
setgid_group = postdrop
myhostname = relay.test
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
mydestination =
alias_maps =
alias_database =
local_recipient_maps =
virtual_mailbox_domains = example.com
default_transport = discard
virtual_transport = discard
smtpd_recipient_restrictions = check_recipient_access inline:{{ {{ never@example.com = 550 5.1.1 who? }}, {{ later@example.com = 450 4.2.0 later }} }}, permit
smtpd_error_sleep_time = 0
message_size_limit = 30000000
mailbox_size_limit = 0
"""  # noqa: E501

MASTER = """\
127.0.0.1:{port} inet n - n - 20 smtpd
{options}
cleanup   unix n - n - 0 cleanup
qmgr      unix n - n 300 1 qmgr
rewrite   unix - - n - - trivial-rewrite
bounce    unix - - n - 0 bounce
defer     unix - - n - 0 bounce
trace     unix - - n - 0 bounce
verify    unix - - n - 1 verify
discard   unix - - n - - discard
error     unix - - n - - error
retry     unix - - n - - error
anvil     unix - - n - 1 anvil
scache    unix - - n - 1 scache
postlog   unix-dgram n - n - 1 postlogd
"""


def missing() -> str:
    """Why there can be no Postfix on this machine, if so."""
    if shutil.which("postfix") is None:
        return "postfix is not installed"
    return "" if os.geteuid() == 0 else "postfix starts as root only"


class Postfix:
    """Runs from `start` to `stop`, in a folder of its own. `options` are settings of its smtpd."""

    def __init__(self, **options: str) -> None:
        # Not in pytest's folder, which the user postfix may not enter.
        self.folder = Path(tempfile.mkdtemp(prefix="postfix-"))
        self.port = free_port()
        self._options = "\n".join(f"  -o {name}={value}" for name, value in options.items())
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Postfix:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def start(self) -> None:
        self.folder.chmod(0o755)
        for name in ("etc", "queue", "data"):
            (self.folder / name).mkdir()
        shutil.chown(self.folder / "data", "postfix")
        self.configure(self.folder / "etc")
        with (self.folder / "output").open("wb") as output:
            self._process = subprocess.Popen(
                ["postfix", "-c", str(self.folder / "etc"), "start-fg"],
                stdout=output, stderr=output, start_new_session=True,
            )  # fmt: skip
        deadline = time.monotonic() + 20
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise Failed(self.log())
            time.sleep(0.02)  # between two looks

    def configure(self, folder: Path) -> None:
        (folder / "main.cf").write_text(MAIN.format(folder=self.folder))
        (folder / "master.cf").write_text(MASTER.format(port=self.port, options=self._options))

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as sock:
                return sock.recv(100).startswith(b"220")
        except OSError:
            return False

    def stop(self) -> None:
        """The master is no child of ours but of the command, and in a session of its own: both have to go."""
        if self._process is not None:
            self._tell(signal.SIGTERM)
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._tell(signal.SIGKILL)
                self._process.kill()
                self._process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _tell(self, number: signal.Signals) -> None:
        with contextlib.suppress(OSError, ValueError):  # it never came so far
            os.killpg(self.pid, number)

    @property
    def pid(self) -> int:
        """Of its master, who leads the session of all its processes."""
        return int((self.folder / "queue" / "pid" / "master.pid").read_text())

    def log(self) -> str:
        paths = (self.folder / "output", self.folder / "log")
        return "".join(path.read_text(errors="replace") for path in paths if path.exists())

    def message_ids(self) -> list[str]:
        """Of all mails it queued, in that order."""
        return re.findall(r"cleanup\[\d+\]: \w+: message-id=<([^@>]*)@", self.log())

    def recipients(self) -> list[str]:
        """To whom it delivered, which here is to nobody."""
        return re.findall(r"discard\[\d+\]: \w+: to=<([^>]*)>.*status=sent", self.log())


class PostfixSink:
    """What `stage.Sink` is to a benchmark, by a Postfix and its log. A mail's time is when it is seen there."""

    def __init__(self, postfix: Postfix) -> None:
        self.port = postfix.port
        self.pid = postfix.pid
        self._log = (postfix.folder / "log").open("rb")
        self._unread = b""
        self._begin()

    def _begin(self) -> None:
        self._accepted: list[float] = []
        self._delivered: list[str] = []
        self._connections = 0

    def wait(self, count: int, patience: float = PATIENCE) -> None:
        """Until so many mails were accepted since the last report. Raises `Failed`."""
        self._wait(self._accepted, count, patience)

    def count(self) -> int:
        self._look()
        return len(self._accepted)

    def report(self) -> Report:
        """And begins a new one. That a mail is well formed is for others to say: Postfix takes it as it is."""
        self._look()
        self._wait(self._delivered, len(self._accepted), PATIENCE)
        report = Report(list(zip(self._delivered, self._accepted, strict=True)), 0, self._connections, {})
        self._begin()
        return report

    def _wait(self, seen: Sequence[object], count: int, patience: float) -> None:
        deadline = time.monotonic() + patience
        while len(seen) < count:
            if time.monotonic() > deadline:
                raise Failed(f"{len(seen)} of {count} mails in {patience:.0f} s")
            time.sleep(0.01)  # between two looks
            self._look()

    def _look(self) -> None:
        *lines, self._unread = (self._unread + self._log.read()).split(b"\n")
        now = time.monotonic()
        for line in lines:
            if b": message-id=" in line:
                self._accepted.append(now)
            elif b": connect from" in line:
                self._connections += 1
            elif found := _DELIVERED.search(line):
                self._delivered.append(found[1].decode())
