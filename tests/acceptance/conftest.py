"""What acceptance tests share: a RabbitMQ of our own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import free_port, need, until


@pytest.fixture(scope="session")
def rabbitmq(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Its URL. On ports that the system chose, with an epmd of its own, and nothing outside its folder."""
    need("epmd")
    server = need("rabbitmq-server") and Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
    folder = tmp_path_factory.mktemp("rabbitmq")
    port, epmd_port = free_port(), free_port()
    (folder / "plugins").write_text("[].")
    environment = os.environ | {
        "HOME": str(folder),
        "ERL_EPMD_PORT": str(epmd_port),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODENAME": f"test{port}@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_DIST_PORT": str(free_port()),
        "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_CONFIG_FILE": str(folder / "none"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
        "RABBITMQ_PID_FILE": str(folder / "pid"),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
    }
    output = folder / "rabbitmq.log"
    with output.open("wb") as log:
        mapper = subprocess.Popen(["epmd", "-port", str(epmd_port), "-address", "127.0.0.1"], env=environment)
        broker = subprocess.Popen([str(server)], env=environment, stdout=log, stderr=log)
        try:
            until(lambda: b"Starting broker... completed" in output.read_bytes(), 60, "RabbitMQ")
            yield f"amqp://guest:guest@127.0.0.1:{port}//"
        finally:
            broker.terminate()
            broker.wait(30)
            mapper.terminate()
            mapper.wait()
