"""A proxy before Redis that loses answers: the request runs, then the connection is gone. Runs in threads of the stage.

Armed by the word that has to be in the request (`EVALSHA`, a script's digest, `BRPOP`, …) as the point.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable


class Proxy:
    """`port` is where it listens. `lose(word)` arms it for the next request that holds the word."""

    def __init__(self, target: Callable[[], int]) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self._lock = threading.Lock()
        self._word: bytes | None = None
        self.lost: list[bytes] = []
        """The words whose answer was lost, in order."""
        threading.Thread(target=self._accept, daemon=True).start()

    def lose(self, word: bytes) -> None:
        with self._lock:
            self._word = word

    def disarm(self) -> None:
        with self._lock:
            self._word = None

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(("127.0.0.1", self._target()), timeout=5)
        except OSError:
            client.close()
            return
        server.settimeout(None)
        for sock in (client, server):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        link = _Link(client, server, self._strikes)
        threading.Thread(target=link.back, daemon=True).start()
        link.forth()

    def _strikes(self, request: bytes) -> bool:
        if self._word is None:
            return False
        with self._lock:
            if self._word is None or self._word not in request:
                return False
            self.lost.append(self._word)
            self._word = None
            return True


class _Link:
    def __init__(self, client: socket.socket, server: socket.socket, strikes: Callable[[bytes], bool]) -> None:
        self.client = client
        self.server = server
        self.strikes = strikes
        self.mute = False

    def forth(self) -> None:
        try:
            while data := self.client.recv(1 << 18):
                # The answers to requests before this one were read by the client, or it would not ask again; only
                # a pipeline loses them all.
                self.mute = self.mute or self.strikes(data)
                self.server.sendall(data)
        except OSError:
            pass
        self._hang_up()

    def back(self) -> None:
        try:
            while data := self.server.recv(1 << 18):
                if self.mute:
                    break
                self.client.sendall(data)
        except OSError:
            pass
        self._hang_up()

    def _hang_up(self) -> None:
        for sock in (self.client, self.server):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()
