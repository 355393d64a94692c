"""A real SMTP server on loopback that records what it got and misbehaves by name.

    with SmtpServer({"RCPT": at(2, answer(450))}, extensions=without("CHUNKING")) as server: ...

A script maps steps to misbehaviours. A misbehaviour is called with the session and the step's argument; it returns the
reply to give in place of the usual one, or None for the usual one, or ends the session. The steps:

    connect, greeting, EHLO, HELO, STARTTLS, AUTH, MAIL, RCPT, DATA, RSET, NOOP, QUIT
    chunk      BDAT outside a transaction, by which a client finds out whether it is known; and the RSET behind it
    BDAT       its chunk is not read: a reply leaves it to be read as commands, as a relay does that has no BDAT
    content    some of a mail's content is here, and not all of it was asked for yet
    message    the mail is here as a whole and not yet taken; the argument is its recipients
    accepted   the mail is taken (recorded, in the ledger) and not yet answered

It is strict, as a careful relay is: MAIL inside a transaction is 503; a BDAT that failed or had no recipient leaves the
transaction as it was (RFC 3030, 2: indeterminate); an octet sent ahead behind DATA or STARTTLS is an error.

By itself: `python -m tests.integration.smtp_server --ledger FILE` prints its port.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import hmac
import itertools
import json
import os
import queue
import re
import signal
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

EXTENSIONS = ("PIPELINING", "SIZE 104857600", "8BITMIME", "ENHANCEDSTATUSCODES", "SMTPUTF8", "CHUNKING")
MECHANISMS = "PLAIN LOGIN CRAM-MD5"
CHALLENGE = b"<1896.697170952@relay.test>"


def without(*names: str) -> tuple[str, ...]:
    """All extensions but these."""
    return tuple(line for line in EXTENSIONS if line.split()[0] not in names)


class Over(Exception):
    """The session is at its end."""


# Misbehaviours. Each is a value for a script.

Misbehaviour = Callable[["Session", str], "bytes | None"]


def answer(code: int, text: str = "as the script says") -> Misbehaviour:
    """This reply; after 421 the connection is closed."""
    return lambda session, argument: f"{code} {text}\r\n".encode()


def raw(octets: bytes) -> Misbehaviour:
    """Exactly these octets."""
    return lambda session, argument: octets


def nothing(session: Session, argument: str) -> bytes:
    """No reply at all, and on to the next command."""
    return b""


garbage = raw(b"\x16\x03\x01 what is this\r\nand this\r\n")


def hang(session: Session, argument: str) -> None:
    """Neither reads nor writes any more, until the server ends."""
    session.flush()
    session.server.over.wait()
    raise Over


def close(session: Session, argument: str) -> None:
    """Says nothing and closes."""
    session.flush()
    raise Over


def reset(session: Session, argument: str) -> None:
    """Says nothing and resets the connection (RST)."""
    session.flush()
    session.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raise Over


def drip(octets: bytes, pause: float) -> Misbehaviour:
    """One octet, a pause, one octet…"""

    def misbehave(session: Session, argument: str) -> bytes:
        session.flush()
        for octet in octets:
            session.put(bytes([octet]))
            session.flush()
            if session.server.over.wait(pause):
                raise Over
        return b""

    return misbehave


def endless(line: bytes) -> Misbehaviour:
    """The same line for ever, as fast as the client reads it."""

    def misbehave(session: Session, argument: str) -> bytes:
        while not session.server.over.is_set():
            session.sock.sendall(line * 100)
        raise Over

    return misbehave


def then(first: Misbehaviour, second: Misbehaviour) -> Misbehaviour:
    """Gives the first one's reply, then does the second."""

    def misbehave(session: Session, argument: str) -> bytes | None:
        session.put(first(session, argument) or b"")
        return second(session, argument)

    return misbehave


def at(number: int, misbehaviour: Misbehaviour) -> Misbehaviour:
    """Only the so-manieth time, from 1, counted over all sessions."""
    return _counted(lambda count: count == number, misbehaviour)


def after(number: int, misbehaviour: Misbehaviour) -> Misbehaviour:
    """From the time after so many on, counted over all sessions."""
    return _counted(lambda count: count > number, misbehaviour)


def first(number: int, misbehaviour: Misbehaviour) -> Misbehaviour:
    """The first so many times, counted over all sessions."""
    return _counted(lambda count: count <= number, misbehaviour)


def _counted(wanted: Callable[[int], bool], misbehaviour: Misbehaviour) -> Misbehaviour:
    counter = itertools.count(1)
    return lambda session, argument: misbehaviour(session, argument) if wanted(next(counter)) else None


def where(text: str, misbehaviour: Misbehaviour) -> Misbehaviour:
    """Only where the step's argument holds this text."""
    return lambda session, argument: misbehaviour(session, argument) if text in argument else None


def each(*misbehaviours: Misbehaviour) -> Misbehaviour:
    """The first of these that has something to say."""

    def misbehave(session: Session, argument: str) -> bytes | None:
        for misbehaviour in misbehaviours:
            reply = misbehaviour(session, argument)
            if reply is not None:
                return reply
        return None

    return misbehave


def after_mails(number: int, misbehaviour: Misbehaviour) -> Misbehaviour:
    """Once this connection has had so many mails accepted. At `MAIL`, or at `accepted` for the last of them."""
    return lambda session, argument: misbehaviour(session, argument) if session.accepted >= number else None


good_bye = answer(421, "closing")


# What was received.


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail that was taken. `data` has its dots unstuffed; `content` is what was on the wire."""

    connection: int
    sender: str
    parameters: str
    recipients: tuple[str, ...]
    data: bytes
    content: bytes
    way: str
    at: float


@dataclass(frozen=True, slots=True)
class Line:
    """`who` is "C" for the client, "S" for this server. The content of a mail is one line."""

    connection: int
    who: str
    octets: bytes


class SmtpServer:
    """Listens from the moment it is made until it is closed; a context manager.

    `users` maps names to passwords: then MAIL without a login is 530. `round_trip` delays every reply by so many
    seconds without holding up the next one. `pace` is "grouped" (replies leave together when nothing more is to be
    read), "each", "octets", or "nagle" (each waits for the acknowledgement of the last). `buffer` is the size of
    the socket's buffers. `mails` and `lines` stay empty without `record`.
    """

    def __init__(
        self,
        script: Mapping[str, Misbehaviour] | None = None,
        *,
        extensions: tuple[str, ...] = EXTENSIONS,
        tls: ssl.SSLContext | None = None,
        implicit_tls: bool = False,
        users: Mapping[str, str] | None = None,
        mechanisms: str = MECHANISMS,
        round_trip: float = 0,
        pace: str = "grouped",
        buffer: int = 0,
        record: bool = True,
        ledger: Path | None = None,
        port: int = 0,
    ) -> None:
        self.script = dict(script or {})
        self.extensions = extensions
        self.tls, self.implicit_tls = tls, implicit_tls
        self.users, self.mechanisms = users, mechanisms
        self.round_trip, self.pace, self.record = round_trip, pace, record
        self.mails: list[Mail] = []
        self.lines: list[Line] = []
        self.sessions: list[Session] = []
        self.accepted = self.connections = 0
        self.over = threading.Event()
        self._ledger = os.open(ledger, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600) if ledger else None
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if buffer:  # small ones, inherited by each connection: a client that never reads while it writes blocks soon
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer)
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        self._listener.bind(("127.0.0.1", port))
        self._listener.listen(128)
        self.port: int = self._listener.getsockname()[1]
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def __enter__(self) -> SmtpServer:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        self.over.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._accepting.join(5)
        for session in self.sessions:
            session.end()
        for session in self.sessions:
            session.thread.join(5)
        if self._ledger is not None:
            os.close(self._ledger)
            self._ledger = None

    @property
    def turns(self) -> int:
        """How often it answered and then had to wait for the client: the round trips, greeting included."""
        return sum(session.turns for session in self.sessions)

    def commands(self, connection: int | None = None) -> list[str]:
        """What the client said, line by line, without the content of mails."""
        return [
            line.octets.decode("utf-8", "backslashreplace")
            for line in list(self.lines)
            if line.who == "C" and connection in (None, line.connection)
        ]

    def take(self, mail: Mail) -> None:
        """Into the ledger first: the answer comes after."""
        if self._ledger is not None:
            found = re.search(rb"^Message-ID:\s*(<[^>]*>)", mail.data, re.IGNORECASE | re.MULTILINE)
            entry = {"message_id": found[1].decode() if found else None, "recipients": mail.recipients}
            os.write(self._ledger, json.dumps(entry).encode() + b"\n")
        self.accepted += 1
        if self.record:
            self.mails.append(mail)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while not self.over.is_set():
                sock, _ = self._listener.accept()
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, self.pace != "nagle")
                self.connections += 1
                if not self.record:
                    self.sessions = [session for session in self.sessions if session.thread.is_alive()]
                self.sessions.append(Session(self, sock, self.connections))
                self.sessions[-1].thread.start()


class Session:
    """One connection."""

    def __init__(self, server: SmtpServer, sock: socket.socket, number: int) -> None:
        self.server = server
        self.sock = sock
        self.number = number
        self.accepted = 0
        self.turns = 0
        self.secure = False
        self.user = "" if server.users else "nobody"
        self.sender: str | None = None
        self.parameters = ""
        self.recipients: list[str] = []
        self.chunks = b""
        self.proving = False
        self.turns_at_mail = 0
        self.thread = threading.Thread(target=self._run, daemon=True)
        self._input = bytearray()
        self._output = bytearray()
        self._said = False
        self._late: queue.SimpleQueue[tuple[float, bytes] | None] = queue.SimpleQueue()
        self._commands: dict[str, Callable[[str], bytes]] = {
            "EHLO": self._ehlo, "HELO": self._helo, "STARTTLS": self._starttls, "AUTH": self._auth, "MAIL": self._mail,
            "RCPT": self._rcpt, "DATA": self._data, "BDAT": self._bdat, "RSET": self._rset,
            "NOOP": lambda _: b"250 Ok\r\n", "QUIT": lambda _: b"221 2.0.0 Bye\r\n",
        }  # fmt: skip

    # The wire.

    def put(self, reply: bytes) -> None:
        if self.server.record and reply:
            self.server.lines.append(Line(self.number, "S", reply))
        self._output += reply
        if self.server.pace != "grouped":
            self.flush()

    def flush(self) -> None:
        if not self._output:
            return
        octets, self._output = bytes(self._output), bytearray()
        self._said = True
        if self.server.round_trip:
            self._late.put((time.monotonic() + self.server.round_trip, octets))
        elif self.server.pace == "octets":
            for octet in octets:
                self.sock.sendall(bytes([octet]))
        else:
            self.sock.sendall(octets)

    def _send_late(self) -> None:
        """Replies leave when their time has come, while the next commands are read."""
        with contextlib.suppress(OSError):
            while (item := self._late.get()) is not None:
                due, octets = item
                time.sleep(max(0, due - time.monotonic()))
                self.sock.sendall(octets)

    def _receive(self) -> None:
        self.flush()
        if self._said:
            self._said = False
            self.turns += 1
        octets = self.sock.recv(262_144)
        if not octets:
            raise Over
        self._input += octets

    def _line(self) -> bytes:
        searched = 0
        while (end := self._input.find(b"\r\n", searched)) < 0:
            searched = max(0, len(self._input) - 1)
            self._receive()
        line = bytes(self._input[:end])
        del self._input[: end + 2]
        if self.server.record:
            self.server.lines.append(Line(self.number, "C", line))
        return line

    def _exactly(self, size: int) -> bytes:
        while len(self._input) < size:
            self._receive()
        octets = bytes(memoryview(self._input)[:size])
        del self._input[:size]
        return octets

    def end(self) -> None:
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)

    # The session.

    def _run(self) -> None:
        late = threading.Thread(target=self._send_late, daemon=True) if self.server.round_trip else None
        try:
            if late:
                late.start()
            self._misbehave("connect", "")
            if self.server.implicit_tls:
                self._wrap()
            self.put(self._misbehave("greeting", "") or b"220 relay.test ESMTP\r\n")
            while True:
                self._command(self._line().decode("utf-8", "surrogateescape"))
        except (Over, OSError):
            pass
        finally:
            with contextlib.suppress(OSError):
                self.flush()
            if late:
                self._late.put(None)
                late.join()
            self.sock.close()

    def _misbehave(self, step: str, argument: str) -> bytes | None:
        misbehaviour = self.server.script.get(step)
        return misbehaviour(self, argument) if misbehaviour else None

    def _command(self, line: str) -> None:
        verb, _, argument = line.partition(" ")
        verb = verb.upper()
        command = self._commands.get(verb)
        if command is None:
            self.put(b"500 5.5.2 unknown command\r\n")
            return
        step = verb
        if verb == "MAIL":
            self.turns_at_mail = self.turns
        if verb == "BDAT" and self.sender is None:
            step, self.proving = "chunk", True
        elif self.proving:
            step, self.proving = "chunk RSET", False
        reply = self._misbehave(step, argument)
        if reply is None:
            reply = command(argument)
        self.put(reply)
        if verb == "QUIT" or reply[:3] == b"421":
            raise Over

    def _ehlo(self, name: str) -> bytes:
        self._rset("")
        lines = ["relay.test", *self.server.extensions]
        if self.server.users:
            lines.append(f"AUTH {self.server.mechanisms}")
        if self.server.tls and not self.secure:
            lines.append("STARTTLS")
        last = lines.pop()
        return "".join([*(f"250-{line}\r\n" for line in lines), f"250 {last}\r\n"]).encode()

    def _helo(self, name: str) -> bytes:
        self._rset("")
        return b"250 relay.test\r\n"

    def _starttls(self, argument: str) -> bytes:
        if not self.server.tls or self.secure or self._input:
            return b"503 5.5.1 not now\r\n"
        self.put(b"220 2.0.0 Go ahead\r\n")
        self.flush()
        self._wrap()
        return b""

    def _wrap(self) -> None:
        assert self.server.tls is not None
        assert not self.server.round_trip, "the late thread would share the TLS socket"
        self.sock = self.server.tls.wrap_socket(self.sock, server_side=True)
        self.secure = True
        self._input.clear()

    def wrap(self) -> None:
        """For scripts that say something of their own before the hand-shake."""
        self.flush()
        self._wrap()

    def _auth(self, argument: str) -> bytes:
        mechanism, _, initial = argument.partition(" ")
        if not self.server.users or mechanism.upper() not in self.server.mechanisms.split():
            return b"504 5.5.4 no such mechanism\r\n"
        if mechanism.upper() == "PLAIN":
            _, user, password = base64.b64decode(initial or self._ask(b"")).decode().split("\0")
            good = self.server.users.get(user) == password
        elif mechanism.upper() == "LOGIN":
            user = base64.b64decode(initial or self._ask(b"Username:")).decode()
            good = self.server.users.get(user) == base64.b64decode(self._ask(b"Password:")).decode()
        else:
            user, _, digest = base64.b64decode(self._ask(CHALLENGE)).decode().rpartition(" ")
            password = self.server.users.get(user, "")
            good = hmac.compare_digest(digest, hmac.new(password.encode(), CHALLENGE, "md5").hexdigest())
        self.user = user if good else ""
        return b"235 2.7.0 Hello\r\n" if good else b"535 5.7.8 wrong name or password\r\n"

    def _ask(self, prompt: bytes) -> str:
        self.put(b"334 " + base64.b64encode(prompt) + b"\r\n")
        return self._line().decode()

    def _mail(self, argument: str) -> bytes:
        match = re.fullmatch(r"FROM:<([^>]*)>(?: (.*))?", argument, re.IGNORECASE)
        if not self.user:
            return b"530 5.7.0 Authentication required\r\n"
        if match is None:
            return b"501 5.5.4 syntax\r\n"
        if self.sender is not None:
            return b"503 5.5.1 Error: nested MAIL command\r\n"
        self.sender, self.parameters = match[1], match[2] or ""
        return b"250 2.1.0 Ok\r\n"

    def _rcpt(self, argument: str) -> bytes:
        match = re.fullmatch(r'TO:<((?:"[^"]*"|[^>])*)>(?: .*)?', argument, re.IGNORECASE)
        if self.sender is None:
            return b"503 5.5.1 Error: need MAIL command\r\n"
        if match is None:
            return b"501 5.5.4 syntax\r\n"
        self.recipients.append(match[1])
        return b"250 2.1.5 Ok\r\n"

    def _rset(self, argument: str) -> bytes:
        self.sender, self.recipients, self.chunks = None, [], b""
        return b"250 2.0.0 Ok\r\n"

    def _refusal(self) -> bytes | None:
        if self.recipients:
            return None
        if self.sender is None:
            return b"503 5.5.1 Error: need RCPT command\r\n"
        return b"554 5.5.1 Error: no valid recipients\r\n"

    def _data(self, argument: str) -> bytes:
        if self._input:
            return b"554 5.5.0 Error: improper command pipelining after DATA\r\n"
        refusal = self._refusal()
        if refusal:
            return refusal
        self.put(b"354 End data with <CR><LF>.<CR><LF>\r\n")
        return self.content()

    def content(self) -> bytes:
        """What follows 354, to the dot. Public for scripts that say 354 where nobody would."""
        self._receive()
        self._misbehave("content", "DATA")
        searched = 0
        while not self._input.startswith(b".\r\n"):
            end = self._input.find(b"\r\n.\r\n", searched)
            if end >= 0:
                break
            searched = max(0, len(self._input) - 4)
            self._receive()
        else:
            end = -2
        content = self._exactly(end + 2)
        self._exactly(3)
        data = re.sub(rb"(\A|\r\n)\.", rb"\1", content) if b"." in content else content
        reply = self._take(data, content, "DATA")
        self._rset("")
        return reply

    def _bdat(self, argument: str) -> bytes:
        size, _, last = argument.partition(" ")
        if not self._input:
            self._receive()
        if self.sender is not None:
            self._misbehave("content", "BDAT")
        content = self._exactly(int(size))
        refusal = self._refusal()
        if refusal:
            return refusal
        self.chunks += content
        if last.upper() != "LAST":
            return b"250 2.0.0 chunk\r\n"
        content, self.chunks = self.chunks, b""
        reply = self._take(content, content, "BDAT")
        if reply[:1] == b"2":
            self._rset("")
        return reply

    def _take(self, data: bytes, content: bytes, way: str) -> bytes:
        if self.server.record:
            self.server.lines.append(Line(self.number, "content", content))
        if not self.recipients:
            return b"554 5.5.1 Error: no valid recipients\r\n"
        recipients = tuple(self.recipients)
        reply = self._misbehave("message", " ".join(recipients))
        if reply is not None:
            return reply
        mail = Mail(self.number, self.sender or "", self.parameters, recipients, data, content, way, time.monotonic())
        self.server.take(mail)
        self.accepted += 1
        return self._misbehave("accepted", " ".join(recipients)) or b"250 2.0.0 Ok: queued\r\n"


def main() -> None:
    parser = argparse.ArgumentParser(description="An SMTP server that takes everything and counts it.")
    parser.add_argument("--ledger", type=Path, help="gets a JSON line for each mail, before it is answered")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--hide", default="", help="extensions not announced, with commas between them")
    parser.add_argument("--round-trip", type=float, default=0, help="seconds by which each reply is late")
    parser.add_argument("--mails-per-connection", type=int, default=0, help="then 421")
    options = parser.parse_args()
    script = {"MAIL": after_mails(options.mails_per_connection, good_bye)} if options.mails_per_connection else {}
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with SmtpServer(
        script,
        extensions=without(*options.hide.upper().split(",")),
        round_trip=options.round_trip,
        record=False,
        ledger=options.ledger,
        port=options.port,
    ) as server:
        print(server.port, flush=True)
        stop.wait()
    print(server.accepted, flush=True)


if __name__ == "__main__":
    main()
