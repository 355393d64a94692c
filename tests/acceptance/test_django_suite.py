"""Django's own mail tests, with our backend in the place of Django's; its source package has them, and no wheel.

Which are left out, each with its reason: `tests/django_suite/left_out.py`.
"""

from __future__ import annotations

import email.errors
import json
import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import django
import pytest

from tests.acceptance.conftest import ROOT
from tests.django_suite.left_out import REASONS


def pinned() -> str:
    """The installed version with its hashes, as it stands in the lock: they are the source package's as well."""
    lock = (ROOT / "requirements.lock").read_text()
    version = re.escape(django.get_version())
    found = re.search(rf"^(django=={version})[^\\]*\\\n((?:    --hash=\S+(?: \\)?\n)+)", lock, re.MULTILINE)
    assert found is not None
    return f"{found[1]} \\\n{found[2]}"


@pytest.fixture(scope="module")
def new_enough() -> None:
    """Django 6.1's tests look for an error that Python has since 3.12.4."""
    if django.VERSION >= (6, 1) and not hasattr(email.errors, "HeaderWriteError"):
        pytest.skip("Django's tests need a later Python than this")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder `tests` of Django's source, as pip fetches it."""
    folder = tmp_path_factory.mktemp("django")
    (folder / "pinned.txt").write_text(pinned())
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--require-hashes", "--no-binary", "django", "--no-build-isolation", "--retries", "1"]
    result = subprocess.run(
        [*command, "-d", str(folder), "-r", str(folder / "pinned.txt")],
        capture_output=True, text=True, check=False, timeout=100,
    )  # fmt: skip
    packages = list(folder.glob("*.tar.gz"))
    if not packages:
        assert "DO NOT MATCH THE HASHES" not in result.stderr, result.stderr
        pytest.skip("Django's source package cannot be fetched here: there is no network, or no package index")
    with tarfile.open(packages[0]) as archive:
        members = [member for member in archive if "/tests/mail/" in member.name]
        archive.extractall(folder, members, filter="data")
    return next(folder.glob("django-*/tests"))


def test_django_s_own_mail_tests_pass_with_our_backend_and_each_message_they_build_is_ours_unchanged(
    new_enough: None, source: Path
) -> None:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("MAILWORKER_", "DJANGO_"))}
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.django_suite", str(source)],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=100,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    told: dict[str, Any] = json.loads(result.stdout)
    as_root = "test_error_if_file_path_is_not_writable"  # root may write everywhere
    assert [name for name in told["theirs"]["bad"] if os.geteuid() or not name.startswith(as_root)] == []
    assert told["ours"]["bad"] == [], result.stderr
    assert told["changed"] == []
    assert told["fed"] > 200
    assert not REASONS.keys() & set(told["shared"])  # what Django asks of every backend
    expected = (18, 24, 27) if django.VERSION < (6, 1) else (11, 16, 40)
    assert (len(told["shared"]), told["ours"]["run"], len(told["left out"])) == expected
