"""The import contracts of pyproject.toml guard: each kind of violation is planted in a copy, and refused."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINT = Path(sys.executable).with_name("lint-imports")

DOWN = "Imports point one way: down"
CIRCLE = "No circle in any folder"
WINGS = "The wings know nothing of each other"
CELERY = "Celery stays in worker, and click in commands"

PLANTS = [
    # A file that stands on no floor, whatever it imports.
    ("thing.py", "", DOWN),
    ("thing/__init__.py", "", DOWN),
    # Upwards.
    ("errors.py", "from . import quantities, settings", DOWN),
    ("outcome.py", "from .delivery import retry", DOWN),
    ("spool/queries.py", "from .. import runtime", DOWN),
    ("mail/address.py", "from .. import settings", DOWN),
    ("settings.py", "def late():\n    from . import runtime", DOWN),
    ("delivery/bridge.py", "import mailworker.worker.tasks", DOWN),
    ("spool/thing.py", "from ..worker import privacy", DOWN),
    ("smtp/relay.py", "from ..delivery import deliver", DOWN),
    ("mail/thing.py", "from ..delivery.slots import Slots", DOWN),
    ("runtime.py", "from .worker.app import app", DOWN),
    ("worker/events.py", "from ..commands import console", DOWN),
    ("demo/page.py", "from ..commands import cli", DOWN),
    ("runtime.py", "from . import testing", DOWN),
    ("worker/tasks.py", "def late():\n    from .. import django", DOWN),
    # Sideways.
    ("django.py", "from . import testing", DOWN),
    ("mail/wire/mime.py", "from ..smtp import relay", WINGS),
    ("smtp/thing.py", "from ..spool import Spool", WINGS),
    ("spool/spool.py", "def late():\n    from ..mail import address", WINGS),
    ("envelope.py", "from .smtp import relay", WINGS),  # mail imports it, and so the relay by a detour
    ("settings.py", "from . import findings", DOWN),
    # In a circle.
    ("worker/events.py", "from . import tasks", CIRCLE),
    ("worker/transport.py", "from . import events, tasks", CIRCLE),
    ("smtp/relay.py", "def late():\n    from . import connection", CIRCLE),
    ("mail/address.py", "from .wire import mime", CIRCLE),
    # Libraries that one folder alone may know.
    ("commands/console.py", "import celery", CELERY),
    ("commands/thing.py", "import celery\nfrom . import cli", CELERY),
    ("delivery/deliver.py", "def late():\n    from celery import current_app", CELERY),
    ("delivery/slots.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from celery import Task", CELERY),
    ("spool/thing.py", "import kombu.transport.redis", CELERY),
    ("runtime.py", "import billiard", CELERY),
    ("demo/demo.py", "from kombu.connection import Connection", CELERY),
    ("settings.py", "import click", CELERY),
    ("worker/tasks.py", "import click", CELERY),
]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package alone, in a folder of its own."""
    folder = tmp_path_factory.mktemp("contracts")
    shutil.copy(ROOT / "pyproject.toml", folder)
    shutil.copytree(ROOT / "mailworker", folder / "mailworker", ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@pytest.fixture
def plant(copy: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """The copy with the lines planted, for one test."""
    name, lines = request.param
    path = copy / "mailworker" / name
    before = path.read_bytes() if path.exists() else None
    path.parent.mkdir(exist_ok=True)
    path.write_bytes((before or b"") + b"\n" + lines.encode() + b"\n")
    yield copy
    if before is not None:
        path.write_bytes(before)
    elif path.name == "__init__.py":
        shutil.rmtree(path.parent)
    else:
        path.unlink()


def broken(folder: Path) -> set[str]:
    """The names of the contracts that do not hold there."""
    result = subprocess.run([LINT], cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    verdicts = [
        line.split(" (")[0].rpartition(" ")
        for line in result.stdout.splitlines()
        if " KEPT" in line or " BROKEN" in line
    ]
    assert {name for name, _, _ in verdicts} == {DOWN, CIRCLE, WINGS, CELERY}, result.stdout + result.stderr
    names = {name for name, _, verdict in verdicts if verdict == "BROKEN"}
    assert bool(names) == bool(result.returncode)
    return names


def test_the_package_as_it_is_keeps_them(copy: Path) -> None:
    assert broken(copy) == set()


@pytest.mark.parametrize(
    ("plant", "contract"),
    [((name, lines), contract) for name, lines, contract in PLANTS],
    indirect=["plant"],
    ids=[f"{name}: {lines.splitlines()[-1].strip() if lines else 'new'}" for name, lines, _ in PLANTS],
)
def test_what_they_forbid_is_refused(plant: Path, contract: str) -> None:
    assert contract in broken(plant)
