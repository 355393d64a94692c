"""The group has every command, and asking for help loads nothing that is slow."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from mailworker import commands
from mailworker.commands.cli import mail

SLOW = ("celery", "kombu", "redis", "pydantic", "mailworker.settings")


def test_every_file_of_a_command_is_in_the_group() -> None:
    files = {path.stem for path in Path(commands.__path__[0]).glob("*.py")} - {"__init__", "cli", "console"}
    assert {name.replace("-", "_") for name in mail.commands} == files


def test_help_loads_nothing_that_is_slow() -> None:
    code = f"import sys; import mailworker.commands.cli; print([name for name in {SLOW} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert result.stdout == "[]\n"
