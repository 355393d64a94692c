"""Behind Sentinel the spool should find the new master by itself when the old one dies."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailworker.errors import SpoolError
from mailworker.spool import Spool, connect
from mailworker.spool.sentinel import sentinels
from tests.conftest import RedisServer, free_port, need, until
from tests.spools import queries_of, spool_of


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[RedisServer, RedisServer]]:
    servers = []
    for name in ("master", "replica"):
        (tmp_path / name).mkdir()
        options = ("--replicaof", f"127.0.0.1 {servers[0].port}") if servers else ()
        servers.append(RedisServer(tmp_path / name, *options, "--repl-diskless-sync-delay", "0"))
        servers[-1].start()
    yield servers[0], servers[1]
    for server in servers:
        server.stop()


@pytest.fixture
def sentinel_port(tmp_path: Path, pair: tuple[RedisServer, RedisServer]) -> Iterator[int]:
    need("redis-server")
    port = free_port()
    configuration = tmp_path / "sentinel.conf"
    configuration.write_text(
        f"port {port}\nbind 127.0.0.1\ndir {tmp_path}\n"
        f"sentinel monitor mymaster 127.0.0.1 {pair[0].port} 1\n"
        "sentinel down-after-milliseconds mymaster 500\nsentinel failover-timeout mymaster 2000\n"
    )
    with (tmp_path / "sentinel.log").open("wb") as log:
        process = subprocess.Popen([pair[0].program, str(configuration), "--sentinel"], stdout=log, stderr=log)
    yield port
    process.terminate()
    process.wait(10)


def test_the_spool_goes_on_at_the_new_master(pair: tuple[RedisServer, RedisServer], sentinel_port: int) -> None:
    master, replica = pair
    until(lambda: replica.client().info("replication")["master_link_status"] == "up", what="the replica")  # type: ignore[index]
    client = connect(f"redis+sentinel://127.0.0.1:{sentinel_port}/mymaster/0")
    spool = spool_of(client, ["queue:email"])
    until(lambda: answers(spool), what="the sentinel")
    client.lpush("queue:email", b"x")
    assert client.wait(1, 5000) == 1
    spool.claim("w/1.0", "", 10)
    client.wait(1, 5000)
    master.kill()
    until(lambda: answers(spool), 30, "the new master")
    assert queries_of(client, ["queue:email"]).status()["states"]["queued"] == 1
    assert client.info("server")["tcp_port"] == replica.port  # type: ignore[index]


def answers(spool: Spool) -> bool:
    try:
        spool.beat("w", 1, [])
    except SpoolError:
        return False
    return True


def test_the_url_is_told_to_kombu_as_kombu_writes_it() -> None:
    found = sentinels("redis+sentinel://me:p%40ss@a:1,b/main/3")
    assert found is not None
    assert found.broker_url == "sentinel://me:p%40ss@a:1/3;sentinel://me:p%40ss@b:26379/3"
    assert found.master == "main"


@pytest.mark.parametrize("url", ["redis+sentinel://a:1", "redis+sentinel://a:x/m", "redis+sentinel://a/m/x"])
def test_a_wrong_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="must"):
        sentinels(url)
