"""A relay that writes each mail into its ledger before it answers 250, and misbehaves where it is armed to.

The token of a mail is the local part of its recipient; a body without it is written down as a mix-up. A line of the
ledger: token, the id in the Message-ID, time. Steps that can
be armed: connect, greeting, EHLO, MAIL, RCPT, DATA, half (of the content), content (all of it, not yet written down),
dot (written down, not yet answered), QUIT. What it can do there: refuse, reset, close, hang.
"""

from __future__ import annotations

import argparse
import os
import re
import socket
import socketserver
import struct
import time
from pathlib import Path
from typing import Any

from .arms import Arms
from .files import whole

STEPS = ("connect", "greeting", "EHLO", "MAIL", "RCPT", "half", "content", "dot")
ACTIONS = ("refuse", "reset", "close", "hang")
SILENT = ("reset", "close", "hang")
"""At the dot: to refuse a mail that it has would be a lie that nobody can see through."""
_TOKEN = re.compile(rb"<(tok[0-9a-z]+)@", re.IGNORECASE)
_MESSAGE_ID = re.compile(rb"^Message-ID:\s*<([^@>\s]+)@", re.IGNORECASE | re.MULTILINE)


class GoneError(Exception):
    """This session is over."""


class Session(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True
    begun = False
    server: Relay

    def handle(self) -> None:
        try:
            self._misbehaves("connect")
            self._answer("greeting", "220 relay ready")
            while self._command(self._line()):
                pass
        except (GoneError, OSError, ValueError):
            pass

    def _command(self, line: bytes) -> bool:
        verb = line[:4].upper()
        if verb in (b"EHLO", b"HELO"):
            self._answer("EHLO", self.server.hello)
        elif verb == b"MAIL":
            self.token = b""
            self.begun = True
            time.sleep(self.server.delay / 2)
            self.accepted = self._answer("MAIL", "250 ok")
        elif verb == b"RCPT":
            match = _TOKEN.search(line)
            self.token = match[1] if match else b"?"
            self.accepted = self.accepted and self._answer("RCPT", "250 ok")
        elif verb == b"BDAT":
            self._bdat(int(line.split()[1]))
        elif verb == b"DATA":
            self._data()
        elif verb == b"QUIT":
            self._answer("QUIT", "221 bye")
            return False
        else:
            self._say("250 ok")
        return True

    def _bdat(self, size: int) -> None:
        if not self.begun:  # a sender finds out whether it is skipped
            self.rfile.read(size)
            self._say("503 no sender")
            return
        half = self.rfile.read(size // 2)
        refused = self._misbehaves("half")
        content = half + self.rfile.read(size - len(half))
        if len(content) < size:
            raise GoneError
        self._content(content, refused)

    def _data(self) -> None:
        if not self.accepted:
            self._say("503 no recipient")
            return
        if not self._answer("DATA", "354 go on"):
            return
        lines: list[bytes] = []
        refused = False
        while (line := self._line()) != b".\r\n":
            refused = refused or (not lines and self._misbehaves("half"))
            lines.append(line.removeprefix(b"."))
        self._content(b"".join(lines), refused)

    def _content(self, content: bytes, refused: bool) -> None:
        if not getattr(self, "accepted", False) or refused or self._misbehaves("content"):
            self._say("451 not now")
            return
        time.sleep(self.server.delay / 2)
        mixed_up = b"" if self.token in content and whole(content) else b"?"
        match = _MESSAGE_ID.search(content)
        line = b"%s%s %s %d\n" % (mixed_up, self.token, match[1] if match else b"-", time.monotonic_ns())
        os.write(self.server.ledger, line)
        self._misbehaves("dot")
        self._say("250 taken")

    def _answer(self, step: str, text: str) -> bool:
        if self._misbehaves(step):
            self._say("421 not now" if step in ("greeting", "EHLO") else "451 not now")
            return False
        self._say(text)
        return True

    def _misbehaves(self, step: str) -> bool:
        """True where the step is to be refused. Raises `GoneError` where the session is over."""
        how = self.server.arms.take(step)
        if how is None:
            return False
        if how == "hang":
            self.connection.settimeout(60)
            while self.connection.recv(65536):
                pass
            raise GoneError
        if how == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            raise GoneError
        if how == "close" or step == "connect":
            raise GoneError
        return True

    def _line(self) -> bytes:
        line = self.rfile.readline(65536)
        if not line.endswith(b"\n"):
            raise GoneError
        return line

    def _say(self, text: str) -> None:
        self.wfile.write(text.encode("ascii") + b"\r\n")


class Relay(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, ledger: Path, arms: Arms, hello: str, delay: float) -> None:
        super().__init__(("127.0.0.1", port), Session)
        self.ledger = os.open(ledger, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self.arms = arms
        self.hello = hello
        self.delay = delay

    def handle_error(self, *_: Any) -> None:
        """A client that was killed is the daily bread here."""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--ledger", type=Path, required=True)
    parser.add_argument("--arms", type=Path, required=True)
    parser.add_argument("--extensions", default="PIPELINING CHUNKING")
    parser.add_argument(
        "--delay",
        type=float,
        default=0.005,
        help="Seconds that each mail takes, half of them before the reply to MAIL.",
    )
    options = parser.parse_args()
    names = ["relay", *options.extensions.split(), "SIZE 50000000"]
    hello = "\r\n".join(f"250{'-' if name != names[-1] else ' '}{name}" for name in names)
    Relay(options.port, options.ledger, Arms(options.arms), hello, options.delay).serve_forever()


if __name__ == "__main__":
    main()
