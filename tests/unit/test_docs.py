"""The tables of the documents are those that the code has, and the README's rows agree with them."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

from mailworker.settings import Settings

ROOT = Path(__file__).parents[2]
MAIL = [f"mail/{path.parent.name}" for path in (ROOT / "mailworker" / "mail").glob("*/__init__.py")]
ROW = re.compile(r"^\| `(MAILWORKER_\w+)` \| (.+?) \|", re.MULTILINE)


def rows(name: str) -> dict[str, str]:
    """The settings of a document with their defaults."""
    return dict(ROW.findall((ROOT / name).read_text()))


def test_the_tables_are_current() -> None:
    command = [sys.executable, ROOT / "docs" / "tables.py", "--check"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (result.stdout, result.stderr, result.returncode) == ("", "", 0)


def test_every_setting_is_in_the_long_table() -> None:
    names = {"MAILWORKER_" + ("FROM" if name == "sender" else name.upper()) for name in Settings.model_fields}
    assert rows("docs/settings.md").keys() == names


def test_the_settings_of_the_readme_have_the_same_defaults() -> None:
    short, long = rows("README.md"), rows("docs/settings.md")
    assert 8 <= len(short) <= 12
    assert short == {name: long[name] for name in short}


def test_every_file_that_a_document_names_is_there() -> None:
    package = ROOT / "mailworker"
    folders = [ROOT, package, *(path for path in package.rglob("*") if path.is_dir())]
    gone = {
        f"{document.name}: {name}"
        for document in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]
        for name in re.findall(r"`([\w./-]+\.(?:py|lua))`", document.read_text())
        if not any((folder / name).is_file() for folder in folders)
    }
    assert gone == set()


def test_the_map_of_a_folder_names_each_of_its_files() -> None:
    """The text at the top of its `__init__.py`, so that a new file is found by its matter."""
    lost = set()
    for room in ("mail", *MAIL, "smtp", "spool", "delivery", "worker", "commands"):
        folder = ROOT / "mailworker" / room
        told = re.findall(r"`(\w+)`", ast.get_docstring(ast.parse((folder / "__init__.py").read_text())) or "")
        lost |= {f"{room}/{path.name}" for path in folder.glob("*.py") if path.stem not in {*told, "__init__"}}
    assert lost == set()
