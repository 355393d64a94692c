"""`mailworker dkim` prints what goes into the DNS."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from mailworker import runtime
from mailworker.commands.cli import mail
from mailworker.findings import SETTINGS

from ...dkim_peers import pem, rsa_key, setting, write


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    runtime.forget()
    yield
    runtime.forget()


def run(*arguments: str) -> Result:
    return CliRunner().invoke(mail, ["dkim", *arguments])


def test_each_line_is_one_of_a_zone_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dns import zone

    monkeypatch.setenv("MAILWORKER_DKIM_KEYS", setting(tmp_path, "example.com"))
    result = run()
    assert result.exit_code == 0
    read = zone.from_text("$TTL 60\n" + result.stdout, "example.com", relativize=False, check_origin=False)
    texts = {str(name): b"".join(data.strings).decode() for name, _, data in read.iterate_rdatas("TXT")}
    told = {entry["name"] + ".": entry["text"] for entry in map(json.loads, run("--json").stdout.splitlines())}
    assert texts == told
    assert {name: text[:22].partition(" p=")[0] for name, text in texts.items()} == {
        "rsa._domainkey.example.com.": "v=DKIM1; k=rsa;",
        "ed25519._domainkey.example.com.": "v=DKIM1; k=ed25519;",
    }


def test_a_weak_key_is_told_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write(tmp_path / "key", pem(rsa_key(1024)))
    monkeypatch.setenv("MAILWORKER_DKIM_KEYS", f"example.com:s1:{file}")
    result = run()
    assert result.exit_code == 0
    assert (
        result.stderr
        == f"mailworker: MAILWORKER_DKIM_KEYS: {file}: an RSA key of 1024 bits is weak: make one of 2048\n"
    )


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ("", "MAILWORKER_DKIM_KEYS: is not set: there is no key"),
        ("example.com:s1:nothing.pem", "MAILWORKER_DKIM_KEYS: nothing.pem: cannot be read: No such file or directory"),
    ],
)
def test_no_key_is_one_line(monkeypatch: pytest.MonkeyPatch, keys: str, said: str) -> None:
    monkeypatch.setenv("MAILWORKER_DKIM_KEYS", keys)
    result = run()
    assert (result.exit_code, result.stdout, result.stderr) == (SETTINGS, "", f"mailworker: {said}\n")
