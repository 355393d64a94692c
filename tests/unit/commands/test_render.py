"""`mailworker render`: what it shows, and how it fails."""

from __future__ import annotations

import email
import email.policy
import json
import webbrowser
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from mailworker.commands.cli import mail


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "mails"
    folder.mkdir()
    (folder / "welcome.html").write_text("<style>p{color:red}</style><p>Hello {{ user.name }}</p>")
    (folder / "welcome.subject").write_text("Welcome, {{ user.name }}\n")
    (folder / "note.txt").write_text("{{ items | length }} items{{ end }}\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MAILWORKER_TEMPLATES", str(folder))
    monkeypatch.setenv("MAILWORKER_FROM", "Shop <shop@example.com>")
    return folder


def run(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(mail, ["render", *arguments], input=stdin)


def test_it_shows_subject_text_and_html(folder: Path) -> None:
    result = run("welcome", "--set", "user.name=Zoë\x1b[31m")

    assert result.exit_code == 0, result.output
    assert result.output.startswith("subject  Welcome, Zoë [31m\n\ntext  15 octets\n\nHello Zoë[31m\n\nhtml  ")
    assert '<p style="color: red;">Hello Zoë' in result.output
    assert "\x1b" not in result.output


def test_one_part_comes_as_it_is(folder: Path, tmp_path: Path) -> None:
    assert run("welcome", "--set", "user.name=Zoë", "--text").stdout_bytes == "Hello Zoë\n".encode()
    assert run("welcome", "--set", "user.name=Zoë", "--html").output.startswith("<html><head><style>p{color:red}")

    result = run("welcome", "--set", "user.name=a", "--text", "--output", str(tmp_path / "a.txt"))

    assert (result.output, (tmp_path / "a.txt").read_bytes()) == ("", b"Hello a\n")


def test_the_whole_message_is_the_one_that_a_relay_would_get(folder: Path) -> None:
    raw = run("welcome", "--set", "user.name=Zoë", "--eml").stdout_bytes
    message = email.message_from_bytes(raw, policy=email.policy.default)

    assert b"\n" not in raw.replace(b"\r\n", b"")
    assert (message["From"], message["Subject"]) == ("Shop <shop@example.com>", "Welcome, Zoë")
    assert [part.get_content_type() for part in message.walk()] == ["multipart/alternative", "text/plain", "text/html"]


def test_variables_come_from_json_too(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text(json.dumps({"items": [1, 2], "end": "!"}))

    assert run("note", "--context", "c.json", "--text").output == "2 items!\n"
    assert run("note", "--context", "-", "--text", "--set", "end=?", stdin='{"items": []}').output == "0 items?\n"


def test_it_opens_the_html_in_a_browser(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda url: opened.append(url) or True)

    result = run("welcome", "--set", "user.name=a", "--open", "--output", "a.html")

    assert result.exit_code == 0, result.output
    assert opened == [(tmp_path / "a.html").as_uri()]
    assert "Hello a" in (tmp_path / "a.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["welcome"], 1, "mailworker: template: welcome.html, line 1: 'user' is undefined\n"),
        (["welcom"], 1, "mailworker: template: there is neither welcom.html nor welcom.txt in MAILWORKER_TEMPLATES; "
         "did you mean welcome?\n"),
        (["../mails/welcome"], 1, "mailworker: template: a name leads into MAILWORKER_TEMPLATES: "),
        (["note", "--set", "items=ab", "--set", "end=", "--html"], 1, "there is no note.html: the mail is a text\n"),
        (["note", "--set", "items=ab", "--set", "end=", "--output", "no/a"], 1, "--output: no/a cannot be written: "),
        (["note", "--set", "items"], 2, "--set: expected KEY=VALUE, got items"),
        (["note", "--set", "=x"], 2, "--set: expected KEY=VALUE, got"),
        (["note", "--set", "a=1", "--set", "a.b=1"], 2, "--set: a.b: a is a value already"),
        (["note", "--context", "no.json"], 2, "no.json"),
        (["note", "--context", "mails/note.txt"], 2, "--context: line 1, column 2: "),
        (["note", "--context", "digits.json"], 2, "--context: is not JSON in UTF-8"),
        (["note", "--context", "list.json"], 2, "--context: expected an object"),
        ([], 2, "Missing argument 'NAME'"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_one_line(
    folder: Path, tmp_path: Path, arguments: list[str], code: int, said: str
) -> None:
    (tmp_path / "list.json").write_text("[1]")
    (tmp_path / "digits.json").write_text("9" * 5000)

    result = run(*arguments)

    assert (result.exit_code, result.stdout) == (code, "")
    assert said in result.stderr


def test_without_a_folder_it_says_which_setting(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MAILWORKER_TEMPLATES")
    assert "template: set MAILWORKER_TEMPLATES: " in run("welcome").stderr

    monkeypatch.setenv("MAILWORKER_TEMPLATES", str(folder / "note.txt"))
    result = run("welcome")
    assert (result.exit_code, result.stderr) == (78, "mailworker: MAILWORKER_TEMPLATES: is not a folder\n")
