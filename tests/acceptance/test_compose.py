"""docker-compose.yml and the Dockerfile, checked without an engine: what they name exists, and its commands run."""

from __future__ import annotations

import os
import re
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import redis
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from redis.backoff import NoBackoff
from redis.retry import Retry
from ruamel.yaml import YAML

from mailworker.settings import Settings
from tests.conftest import BIN, RedisServer, Workers, free_port, need, until

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docker-compose.yml").read_text()
COMPOSE: dict[str, Any] = YAML(typ="safe").load(TEXT)
SERVICES: dict[str, Any] = COMPOSE["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
KNOWN = {
    ("MAILWORKER_" + name.upper()).replace("MAILWORKER_SENDER", "MAILWORKER_FROM") for name in Settings.model_fields
}
OURS = ("worker", "flower")
VARIABLE = re.compile(r"\$\{(\w+)(?:(:-|:\?)([^}]*))?\}")


def filled(text: str, **values: str) -> str:
    """As compose would fill in the variables."""
    text = VARIABLE.sub(lambda match: values.get(match[1]) or (match[3] if match[2] == ":-" else ""), text)
    return text.replace("$$", "$")


def environment(service: str, **values: str) -> dict[str, str]:
    return {key: filled(value, **values) for key, value in SERVICES[service]["environment"].items()}


def test_it_fits_the_compose_schema() -> None:
    command = [str(BIN / "check-jsonschema"), "--builtin-schema", "vendor.compose-spec", "docker-compose.yml"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_is_closed_and_watched(service: str) -> None:
    config = SERVICES[service]
    user, group = config["user"].split(":")
    assert int(user) > 0
    assert int(group) > 0
    assert config["read_only"] is True
    assert config["cap_drop"] == ["ALL"]
    assert config["security_opt"] == ["no-new-privileges:true"]
    assert config["healthcheck"]["test"]
    assert config["restart"] == "unless-stopped"
    assert "privileged" not in config
    assert all(port.startswith("127.0.0.1:") for port in config.get("ports", []))
    assert ":latest" not in config["image"]


def test_what_must_be_set_has_no_default_and_says_how_to_set_it() -> None:
    required = {match[1]: match[3] for match in VARIABLE.finditer(TEXT) if match[2] == ":?"}
    assert set(required) == {"REDIS_PASSWORD", "FLOWER_BASIC_AUTH"}
    assert all(required.values())
    others = [match[1] for match in VARIABLE.finditer(TEXT) if match[2] is None]
    assert others == []


def test_every_setting_in_it_is_one_that_mailworker_knows() -> None:
    in_the_containers = {key for service in OURS for key in SERVICES[service]["environment"]}
    from_outside = {match[1] for match in VARIABLE.finditer(TEXT)}
    named = {key for key in in_the_containers | from_outside if key.startswith("MAILWORKER_")}
    assert named
    assert named <= KNOWN


@pytest.mark.parametrize("service", OURS)
def test_its_settings_are_valid(service: str, tmp_path: Path) -> None:
    variables = environment(service, REDIS_PASSWORD="abc123", FLOWER_BASIC_AUTH="user:password")
    code = "from mailworker.runtime import settings; s = settings(); print(s.relays[0].host, s.broker.url)"
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=plain() | variables, capture_output=True, text=True, check=False
    )
    assert result.stdout == "inbox redis://:abc123@redis:6379/0\n", result.stderr


@pytest.mark.parametrize("service", SERVICES)
def test_what_it_waits_for_is_a_service_with_a_health_check(service: str) -> None:
    for name, how in SERVICES[service].get("depends_on", {}).items():
        assert name in SERVICES
        assert how["condition"] in ("service_healthy", "service_started")
    named_volumes = [volume.partition(":")[0] for volume in SERVICES[service].get("volumes", [])]
    assert all(volume in COMPOSE["volumes"] for volume in named_volumes)


def test_the_ports_between_the_services_are_the_ones_they_listen_on() -> None:
    assert SERVICES["redis"]["ports"][0].endswith(":6379")
    assert SERVICES["flower"]["ports"][0].endswith(":5555")
    assert "--port=5555" in SERVICES["flower"]["command"]
    assert "127.0.0.1:5555" in SERVICES["flower"]["healthcheck"]["test"][-1]
    assert SERVICES["inbox"]["ports"][0].endswith(":8025")
    assert environment("worker")["MAILWORKER_SMTP_URL"] == "smtp://inbox:1025"


def test_the_grace_period_is_longer_than_a_soft_shutdown() -> None:
    import celeryconfig

    assert SERVICES["worker"]["stop_grace_period"] == "90s"
    assert celeryconfig.worker_soft_shutdown_timeout < 90


class ComposeRedis(RedisServer):
    """The compose file's own command, on another port and folder."""

    password = "abc123"

    def start(self) -> None:
        shell, flag, script = SERVICES["redis"]["command"]
        script = filled(script).replace("--appendonly", f"--port {self.port} --bind 127.0.0.1 --appendonly")
        variables = environment("redis", REDIS_PASSWORD=self.password)
        with (self.folder / "redis.log").open("ab") as log:
            self.process = subprocess.Popen(
                [shell, flag, script], cwd=self.folder, env=plain() | variables, stdout=log, stderr=log
            )
        until(self._answers, what="redis-server")

    def client(self) -> redis.Redis:
        return redis.Redis(port=self.port, password=self.password, socket_timeout=5)


@pytest.fixture
def compose_redis(tmp_path: Path) -> Iterator[ComposeRedis]:
    need("redis-server")
    server = ComposeRedis(tmp_path)
    server.start()
    yield server
    server.stop()


def test_its_redis_keeps_everything_and_wants_the_password(compose_redis: ComposeRedis) -> None:
    config: Any = compose_redis.client().config_get("*")
    assert config["appendonly"] == "yes"
    assert config["maxmemory-policy"] == "noeviction"
    with pytest.raises(redis.exceptions.AuthenticationError):
        redis.Redis(port=compose_redis.port, retry=Retry(NoBackoff(), 0)).ping()
    kind, check = SERVICES["redis"]["healthcheck"]["test"]
    assert kind == "CMD-SHELL"
    check = filled(check).replace("redis-cli", f"redis-cli -p {compose_redis.port}")
    for password, code in ((compose_redis.password, 0), ("wrong", 1)):
        result = subprocess.run(
            ["sh", "-c", check], env=plain() | {"REDISCLI_AUTH": password}, capture_output=True, check=False
        )
        assert result.returncode == code


def test_its_worker_starts_and_the_health_check_tells_it_from_a_dead_one(workers: Workers) -> None:
    celery, *options = SERVICES["worker"]["command"]
    assert celery == "celery"
    kind, check = SERVICES["worker"]["healthcheck"]["test"]
    assert kind == "CMD-SHELL"
    check = filled(check)

    def healthy() -> bool:
        result = subprocess.run(
            ["sh", "-c", check], cwd=workers.folder, capture_output=True, check=False, timeout=60,
            env=workers.environment | {"PATH": f"{BIN}:{os.environ['PATH']}"},
        )  # fmt: skip
        return result.returncode == 0

    # `start` gives the command of the compose file: app, `worker`, and these; the name is Celery's default.
    assert options[:3] == ["-A", "mailworker", "worker"]
    worker = workers.start(*options[3:], "-n", f"celery@{socket.gethostname()}")
    assert healthy()
    worker.terminate()
    assert worker.wait(60) == 0
    assert not healthy()


def test_its_flower_starts_and_its_health_check_works(workers: Workers) -> None:
    port = free_port()
    command = [part.replace("5555", str(port)) for part in SERVICES["flower"]["command"]]
    command = [part.replace("0.0.0.0", "127.0.0.1") for part in command]
    kind, *check = SERVICES["flower"]["healthcheck"]["test"]
    assert kind == "CMD"
    check = [sys.executable, *(part.replace("5555", str(port)) for part in check[1:])]
    login = environment("flower", FLOWER_BASIC_AUTH="user:password")["FLOWER_BASIC_AUTH"]
    assert subprocess.run(check, capture_output=True, check=False).returncode != 0
    with (workers.folder / "flower.log").open("wb") as log:
        flower = subprocess.Popen(
            [BIN / command[0], *command[1:]], cwd=workers.folder, stdout=log, stderr=log,
            env=workers.environment | {"FLOWER_BASIC_AUTH": login},
        )  # fmt: skip
    try:
        until(lambda: subprocess.run(check, capture_output=True, check=False).returncode == 0, what="Flower")
    finally:
        flower.terminate()
        flower.wait(20)


def test_the_dockerfile_copies_what_exists_and_what_the_ignore_file_lets_through() -> None:
    ignore = (ROOT / ".dockerignore").read_text().splitlines()
    let_through = {line[1:] for line in ignore if line.startswith("!")}
    assert "*" in ignore
    copied: set[str] = set()
    for line in re.findall(r"^COPY (?!--from)(.*)$", DOCKERFILE, re.MULTILINE):
        copied |= {name.removeprefix("./") for name in shlex.split(line)[:-1]}
    assert copied == let_through
    assert all((ROOT / name).exists() for name in copied)


def test_the_image_runs_the_worker_and_not_as_root() -> None:
    final = DOCKERFILE.rpartition("\nFROM ")[2]
    uid, gid = re.findall(r"^USER (\d+):(\d+)$", final, re.MULTILINE)[-1]
    assert SERVICES["worker"]["user"] == SERVICES["flower"]["user"] == f"{uid}:{gid}"
    assert f"--uid {uid} --gid {gid}" in final
    assert 'CMD ["celery", "-A", "mailworker", "worker"' in final
    set_in_it = re.findall(r"^(?:ENV|ARG) (.*)$", DOCKERFILE, re.MULTILINE)
    assert not re.search(r"MAILWORKER_|FLOWER_|REDIS", "\n".join(set_in_it))


def test_the_image_installs_the_versions_that_are_tested() -> None:
    def pins(name: str) -> set[str]:
        return set(re.findall(r"^([a-z0-9.-]+==[^ \\;]+)", (ROOT / name).read_text(), re.MULTILINE))

    assert pins("requirements-runtime.lock")
    assert pins("requirements-runtime.lock") <= pins("requirements.lock")
    assert "http" not in (ROOT / "requirements-runtime.lock").read_text()


def test_the_image_installs_everything_that_the_package_needs() -> None:
    """As the metadata of what is installed here tells it, from requirement to requirement."""
    pinned = set(re.findall(r"^([a-z0-9.-]+)==", (ROOT / "requirements-runtime.lock").read_text(), re.MULTILINE))
    needed: set[tuple[str, str]] = set()
    todo = [("mailworker", "")]
    while todo:
        name, extra = todo.pop()
        for text in metadata.requires(name) or []:
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
                found = {(canonicalize_name(requirement.name), each) for each in ("", *requirement.extras)}
                todo += found - needed
                needed |= found
    assert {name for name, _ in needed} - pinned == set()


def test_the_systemd_unit_is_one_that_systemd_understands(tmp_path: Path) -> None:
    unit = (ROOT / "deploy" / "mailworker.service").read_text()
    for line in ("Restart=always", "KillMode=mixed", "TimeoutStopSec=90", "User=mailworker", "ProtectSystem=strict"):
        assert line in unit.splitlines()
    command = next(line for line in unit.splitlines() if line.startswith("ExecStart="))
    assert "/celery -A mailworker worker " in command
    copy = tmp_path / "mailworker.service"  # the program is not installed where the unit says
    copy.write_text(unit.replace(command, "ExecStart=/bin/true"))
    result = subprocess.run(
        [need("systemd-analyze"), "verify", copy], capture_output=True, text=True, timeout=60, check=False
    )
    assert (result.returncode, result.stderr) == (0, "")


def test_the_example_of_an_environment_file_is_valid(tmp_path: Path) -> None:
    example = (ROOT / "deploy" / "mailworker.env.example").read_text()
    (tmp_path / ".env").write_text(example)
    code = "from mailworker.runtime import settings; s = settings(); print(s.author.mailbox.address, s.relays[0].user)"
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=plain(), capture_output=True, text=True, check=False
    )
    assert result.stdout == "site@example.com site@example.com\n", result.stderr


def plain() -> dict[str, str]:
    """This process's environment without settings of ours."""
    return {key: value for key, value in os.environ.items() if not key.startswith(("MAILWORKER_", "FLOWER_"))}
