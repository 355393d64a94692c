"""A Postfix of our own: its folders, its port, its log. It takes mail for all but two recipients, and delivers none."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

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


def need_postfix() -> None:
    """Skips, or fails in CI, where the machine has no Postfix or does not let us start one."""
    problem = ""
    if shutil.which("postfix") is None:
        problem = "postfix is not installed"
    elif os.geteuid() != 0:
        problem = "postfix starts as root only"
    if problem and os.environ.get("CI"):
        pytest.fail(f"{problem}, and CI must have it")
    if problem:
        pytest.skip(problem)


class Postfix:
    """Runs from `start` to `stop`, in a folder of its own. `options` are settings of its smtpd."""

    def __init__(self, **options: str) -> None:
        need_postfix()
        # Not in pytest's folder, which the user postfix may not enter.
        self.folder = Path(tempfile.mkdtemp(prefix="postfix-"))
        self.port = _free_port()
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
        (self.folder / "etc" / "main.cf").write_text(MAIN.format(folder=self.folder))
        (self.folder / "etc" / "master.cf").write_text(MASTER.format(port=self.port, options=self._options))
        with (self.folder / "output").open("wb") as output:
            self._process = subprocess.Popen(
                ["postfix", "-c", str(self.folder / "etc"), "start-fg"],
                stdout=output, stderr=output, start_new_session=True,
            )  # fmt: skip
        deadline = time.monotonic() + 20
        while not self._answers():
            assert self._process.poll() is None, self.log()
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.02)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as sock:
                return sock.recv(100).startswith(b"220")
        except OSError:
            return False

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)  # its own session: nothing else is in there
                self._process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def log(self) -> str:
        paths = (self.folder / "output", self.folder / "log")
        return "".join(path.read_text(errors="replace") for path in paths if path.exists())

    def message_ids(self) -> list[str]:
        """Of all mails it queued, in that order."""
        return re.findall(r"cleanup\[\d+\]: \w+: message-id=<([^@>]*)@", self.log())

    def recipients(self) -> list[str]:
        """To whom it delivered, which here is to nobody."""
        return re.findall(r"discard\[\d+\]: \w+: to=<([^>]*)>.*status=sent", self.log())


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
