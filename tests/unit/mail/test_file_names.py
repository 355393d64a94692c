"""A file has the name that its author gave it, whatever the reader: RFC 2231, and what Outlook and web mailers read."""

from __future__ import annotations

import re
from email.header import decode_header, make_header

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailworker.mail.email import Email
from mailworker.mail.file import File
from mailworker.mail.header import parameters
from mailworker.mail.wire.mime import build

from .reader import files, read
from .test_mime import AT, SENDER, one_line
from .test_multipart import TO


def head_of(name: str) -> bytes:
    """The lines above a file of that name."""
    data = build(Email(TO, b"s", b"t", attachments=(File(name, "a/b", b"x"),)), SENDER, "id@b.c", AT).data
    match = re.search(rb"Content-Type: a/b.*?\r\n\r\n", data, re.DOTALL)
    assert match
    return match[0]


def arrives(name: str) -> str:
    [file] = files(read(build(Email(TO, b"s", b"t", attachments=(File(name, "a/b", b"x"),)), SENDER, "id@b.c", AT)))
    return file.name


PLAIN = ["a.pdf", "my file.txt", "a'b.txt", "100%.txt", "%20.txt", "a;b,c (1) [2].txt", ".htaccess", "a@b.c", "a=b.txt",
         "~/.x", "a" * 180, "a" * 900, "CON", "..", "a?.txt", "<a>.txt"]  # fmt: skip


@pytest.mark.parametrize("name", PLAIN)
def test_a_plain_name_stands_there_in_quotes_and_once(name: str) -> None:
    """Also a long one: Outlook and Notes read no continuations (MimeKit 281)."""
    assert head_of(name).count(name.encode()) == 2
    assert b"*" not in head_of(name)
    assert arrives(name) == name


UNUSUAL = ["Rechnung Müller.pdf", "文件 (1).docx", "🎉.txt", "Ж" * 120, "é" * 1000, "x" * 901, "x" * 1000,
           'say "hi".txt', "a\\b.txt", 'a".exe;x=".txt', " lead.txt", "trail ", " ", "   ", "=?utf-8?q?x?=.txt", "a=?b",
           "\u202efdp.exe", "דוח.pdf", "e\u0301.txt", "%20*'.ü", "a\u00a0b", "👨‍👩‍👧.png",
           "ü'ü''ü", "\u200b"]  # fmt: skip


@pytest.mark.parametrize("name", UNUSUAL)
def test_any_other_name_is_written_as_rfc_2231_wants_it_and_as_outlook_reads_it(name: str) -> None:
    """Encoded words in Content-Type: MimeKit 186, MailKit 1041, buildmail 4 (`untitled attachment`, `ATT00001`)."""
    assert arrives(name) == name
    head = head_of(name)
    assert max(map(len, head.split(b"\r\n"))) <= 80
    match = re.search(rb'name="([^"]*)"\r\n', head)
    assert match
    assert str(make_header(decode_header(re.sub(rb"\r\n", b"", match[1]).decode("ascii")))) == name


@pytest.mark.parametrize(
    ("name", "expected"), [("a\r\nBcc: x@y.z", "a Bcc: x@y.z"), ("a\0b\tc", "a b\tc"), ("\x85\u2028.txt", " .txt")]
)
def test_a_control_character_is_a_blank(name: str, expected: str) -> None:
    assert arrives(name) == expected


def test_a_lone_surrogate_is_shown_as_lost() -> None:
    assert arrives("a\udcff.txt") == "a?.txt"


def test_a_file_without_a_name_has_none() -> None:
    assert head_of("") == (
        b"Content-Type: a/b\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment\r\n\r\n"
    )


def test_a_long_name_is_cut_between_characters() -> None:
    """A reader that decodes each section by itself shows every one."""
    sections = re.findall(rb"filename\*\d+\*=(?:UTF-8'')?([^;\r]+)", parameters.filename("é" * 100))
    assert len(sections) > 1
    for section in sections:
        assert re.fullmatch(rb"(?:%C3%A9)+", section)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=300))
def test_any_name_arrives(name: str) -> None:
    assert arrives(name) == one_line(name.encode()).decode()
