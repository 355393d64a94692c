"""What other people's readers make of a mail: ripMIME, which many filters use to take the files out."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from mailworker.mail.email import Email
from mailworker.mail.file import File
from mailworker.mail.wire.mime import build

from ...conftest import need
from .test_mime import AT, SENDER
from .test_multipart import HTML, ICS, INVITE, MAIL, TO

OCTETS = bytes(range(256)) * 40
MAILS = {
    "files": Email(TO, b"s", b"text\n", attachments=(File("a.bin", "a/b", OCTETS), File("b.csv", "text/csv", b"1\n"))),
    "html": Email(TO, b"s", b"text\n", "<p>ü</p>".encode(), inline=(File("l.png", "image/png", OCTETS, cid="l"),)),
    "all": Email(
        TO, b"s", b"--\r\n", HTML, attachments=(File("a b.bin", "a/b", b""), File("c.bin", "a/b", OCTETS[:57]), INVITE),
        inline=(File("l.png", "image/png", OCTETS[:58], cid="l"),),
    ),
}  # fmt: skip


def unpacked(email: Email, folder: Path) -> dict[str, bytes]:
    """By the names that it gave them."""
    mail = folder / "mail"
    mail.write_bytes(build(email, SENDER, "id@example.com", AT).data)
    program = [need("ripmime"), "--no-nameless", "-i", str(mail), "-d", str(folder / "out")]
    subprocess.run(program, check=True, capture_output=True, timeout=30)
    return {path.name: path.read_bytes() for path in (folder / "out").iterdir()}


@pytest.mark.parametrize("name", MAILS)
def test_the_files_of_a_mail_are_unpacked_as_they_were(name: str, tmp_path: Path) -> None:
    meant = {file.name.replace(" ", "_"): file.content for file in MAILS[name].files if file.content}
    found = {name.replace(" ", "_"): content for name, content in unpacked(MAILS[name], tmp_path).items() if content}
    assert found == meant


def test_a_mail_within_a_mail_is_unpacked(tmp_path: Path) -> None:
    within = MAIL.content or b""
    email = Email(
        TO, b"s", b"text\n", attachments=(File("m.eml", MAIL.type, within), File("c.ics", "text/calendar", ICS))
    )
    assert unpacked(email, tmp_path)["c.ics"] == ICS
