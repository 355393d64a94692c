"""What acceptance tests share: a RabbitMQ of our own, and an environment with the wheel in it."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import free_port, need, until

ROOT = Path(__file__).resolve().parents[2]


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


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy of what is in the repository, so that nothing is left in the folder, and without a network."""
    source = tmp_path_factory.mktemp("source")
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "mailworker", ":(glob)*.*", "LICENSE"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    for name in listed.splitlines():
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index", "--no-build-isolation"]
    result = subprocess.run([*command, "-w", str(folder), "."], cwd=source, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    [built] = folder.glob("*.whl")
    return built


@dataclass(frozen=True)
class Site:
    """An environment of its own with the wheel in it, and an empty folder to start commands in."""

    bin: Path
    folder: Path

    def run(self, *command: str, **settings: str) -> subprocess.CompletedProcess[str]:
        ours = ("MAILWORKER_", "CELERY_", "FLOWER_", "PYTHON")
        environment = {key: value for key, value in os.environ.items() if not key.startswith(ours)}
        return subprocess.run(
            [str(self.bin / command[0]), *command[1:]], cwd=self.folder, timeout=60, check=False,
            env=environment | {"PYTHONWARNINGS": "ignore"} | settings, capture_output=True, text=True,
        )  # fmt: skip

    def conf(self, key: str) -> str:
        code = f"from mailworker import app; print(app.conf.{key})"
        result = self.run("python", "-c", code)
        assert result.returncode == 0, result.stderr
        return result.stdout.strip()


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("venv")
    venv.create(folder, symlinks=True, with_pip=False)
    ours = Path(sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)}))
    # The dependencies come from the environment of the tests, but not the project that is installed there to edit.
    (ours / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    command = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    result = subprocess.run([*command, "--ignore-installed", str(wheel)], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    celery = folder / "bin" / "celery"
    celery.write_text(f"#!{folder / 'bin' / 'python'}\nfrom celery.__main__ import main\nmain()\n")
    celery.chmod(0o755)
    return folder


@pytest.fixture
def site(installed: Path, tmp_path: Path) -> Site:
    return Site(installed / "bin", tmp_path)
