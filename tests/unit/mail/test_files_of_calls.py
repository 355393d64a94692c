"""What may be attached, by what a caller passes; and what never is: no device, no FIFO, no name that is a path."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from base64 import b64encode
from collections import namedtuple
from email.message import EmailMessage
from email.mime.image import MIMEImage
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from hashlib import sha256
from io import BytesIO, StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mailworker.errors import Unsendable
from mailworker.mail.arguments import from_arguments
from mailworker.mail.email import Email, Limits
from mailworker.mail.file import BLOB, File


class Octets(bytes):
    """numpy has a class of this kind; and one may say what it is not."""

    def __len__(self) -> int:
        return 1

    def __bytes__(self) -> bytes:
        return b"other"


class LazyString:
    """As Flask-Babel's `lazy_gettext` makes it."""

    def __str__(self) -> str:
        return "translated"


class Text(str):
    __slots__ = ()

    def encode(self, *_: Any) -> bytes:
        return b"other"


EXPECTED = "expected a path, (name, content) or (name, content, type)"
LIMITS = Limits(mail=2_000_000)
EmailAttachment = namedtuple("EmailAttachment", ("filename", "content", "mimetype"))


def mail(limits: Limits = LIMITS, from_message: bool = False, **more: Any) -> Email:
    kwargs = {"to": "a@example.com", "subject": "s", "body": "b", **more}
    email = from_arguments((), kwargs, limits, from_message).mail
    assert isinstance(email, Email)
    return email


def attached(item: Any) -> File:
    (file,) = mail(attachments=[item]).attachments
    return file


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_path_is_read_at_the_call_and_only_its_last_part_is_the_name(here: Path) -> None:
    (here / "a b.pdf").write_bytes(b"%PDF")
    (here / "link.txt").symlink_to("a b.pdf")
    expected = File("a b.pdf", "application/pdf", b"%PDF")
    assert attached("a b.pdf") == attached(here / "a b.pdf") == attached(f"./{'x/../' * 0}a b.pdf") == expected
    assert attached("link.txt") == File("link.txt", "text/plain", b"%PDF")  # the program's own path, and its own link


def test_what_says_that_it_is_empty_is_read_all_the_same() -> None:
    assert b"Name:" in (attached("/proc/self/status").content or b"")


def test_what_is_no_file_is_not_waited_for(here: Path) -> None:
    os.mkfifo("fifo")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind("socket")
        for path, problem in (
            ("fifo", "is a FIFO and no file: fifo"), (".", "is a folder and no file: ."),
            ("/dev/zero", "is a device and no file: /dev/zero"), ("socket", "is a socket and no file: socket"),
            ("/dev/tty0", ""), ("none.pdf", "no such file: none.pdf"), ("none/none.pdf", "no such file: none/none.pdf"),
            ("", "no such file: "), ("a\0b", "is no path of a file"), ("fifo/x", "cannot be read (Not a directory)"),
            ("x" * 300, "cannot be read (File name too long)"), ("\ud800", ""),
            ("new\nline", "no such file: new\\nline"),
        ):  # fmt: skip
            with pytest.raises(Unsendable) as caught:
                attached(path)
            assert str(caught.value).startswith(f"attachments[0]: {problem}"), path


def test_what_became_a_fifo_since_it_was_looked_at_is_not_read(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("file").write_bytes(b"x")
    os.mkfifo("fifo")
    real = os.stat
    monkeypatch.setattr(os, "stat", lambda path, **options: real("file" if path == "fifo" else path, **options))
    with pytest.raises(Unsendable, match="is a FIFO and no file: fifo"):
        attached("fifo")


def test_a_large_file_is_refused_before_it_is_read(here: Path) -> None:
    with open("sparse.bin", "wb") as file:
        file.truncate(2**40)
    with pytest.raises(
        Unsendable, match=r"^attachments\[0\]: 14\d+\.\d MiB as a mail, more than the limit of 1\.9 MiB$"
    ) as caught:
        attached("sparse.bin")
    assert caught.value.reason == "too_large"


def test_files_that_are_too_large_together_are_told_as_a_mail() -> None:
    with pytest.raises(Unsendable, match=r"^attachments: 2\.6 MiB as a mail, more than the limit of 1\.9 MiB$"):
        mail(attachments=[("a", b"x" * 10**6)] * 2)
    with pytest.raises(Unsendable, match=r"^attachments: 2028737 octets as a mail, more than the limit of 2000000$"):
        mail(html="<p>" * 220_000, body="", attachments=[("a", b"x" * 10**6)] * 1)
    with pytest.raises(Unsendable, match=r"^html: 2\.\d+ MiB as a mail"):
        mail(html="<p>" * 900_000, body="")


@pytest.mark.parametrize(
    ("item", "file"),
    [
        (("a.txt", b"x"), File("a.txt", "text/plain", b"x")),
        (["a.txt", b"x"], File("a.txt", "text/plain", b"x")),
        (("a.txt", "ü"), File("a.txt", "text/plain", "ü".encode())),
        (("a.txt", "ü", "text/plain; charset=iso-8859-1"), File("a.txt", "text/plain; charset=iso-8859-1", b"\xfc")),
        (("a.txt", "ü", 'text/plain; charset="UTF-16LE"'), File("a.txt", 'text/plain; charset="UTF-16LE"', b"\xfc\0")),
        (("a.txt", Octets(b"xyz")), File("a.txt", "text/plain", b"xyz")),
        (("a.txt", LazyString()), File("a.txt", "text/plain", b"translated")),
        (("a.txt", Text("xyz")), File("a.txt", "text/plain", b"xyz")),
        (("a.txt", bytearray(b"x")), File("a.txt", "text/plain", b"x")),
        (("a.txt", memoryview(b"x")), File("a.txt", "text/plain", b"x")),
        (("a", b""), File("a", "application/octet-stream", b"")),
        (("a.tar.gz", b""), File("a.tar.gz", "application/octet-stream", b"")),
        (("a.eml", b"no mail"), File("a.eml", "application/octet-stream", b"no mail")),
        (("i.ics", b"x", "text/calendar; method=REQUEST; charset=\"utf-8\""),
         File("i.ics", 'text/calendar; method=REQUEST; charset="utf-8"', b"x")),
        (("a", b"x", "text/plain; filename=b.exe; name*0*=c; charset*=utf-8''x; charset=\"\"; format=flowed"),
         File("a", "text/plain; format=flowed", b"x")),
        (("a", b"x", "Image/PNG"), File("a", "image/png", b"x")),
        (("a.png", b"x", None), File("a.png", "image/png", b"x")),
        ((None, b"x", "image/png"), File("", "image/png", b"x")),
        (("a.eml", b"Subject: s\r\n\r\nx", "message/rfc822"), File("a.eml", "message/rfc822", b"Subject: s\r\n\r\nx")),
        (EmailAttachment("a.txt", "x", "text/plain"), File("a.txt", "text/plain", b"x")),
        (SimpleNamespace(filename="a.txt", content=b"x", mimetype=None), File("a.txt", "text/plain", b"x")),
        (("文件 (1).docx", b"x", "a/b"), File("文件 (1).docx", "a/b", b"x")),
        (("Ж" * 120, b"x", "a/b"), File("Ж" * 120, "a/b", b"x")),
        (('"q" %20*\'.txt', b"x"), File('"q" %20*\'.txt', "text/plain", b"x")),
    ],
)  # fmt: skip
def test_what_mailers_take_is_taken(item: Any, file: File) -> None:
    assert attached(item) == file
    assert type(attached(item).content) is bytes


def test_a_message_object_goes_as_a_message() -> None:
    message = EmailMessage()
    message["Subject"] = "inside"
    message.set_content("x")
    octets = message.as_bytes()
    assert attached(message) == File("", "message/rfc822", octets)
    assert attached(("m.eml", message)) == attached(EmailAttachment("m.eml", message, None))
    assert attached(("m.eml", message)) == File("m.eml", "message/rfc822", octets)


def test_a_part_of_a_message_goes_as_the_file_it_is() -> None:
    """Django's `attach` takes `MIMEBase` as well."""
    image = MIMEImage(b"GIF89a", name="l.gif")
    image.add_header("Content-Disposition", "attachment", filename="ü.gif")
    assert attached(image) == File("ü.gif", "image/gif", b"GIF89a")
    assert attached(MIMEText("ü", "csv", "utf-8")) == File("", "text/csv; charset=utf-8", "ü".encode())
    with pytest.raises(TypeError, match=r"^attachments\[0\]: .*got a multipart; pass what is in it"):
        attached(MIMEMultipart())


def test_a_hostile_html_costs_no_time() -> None:
    begun = time.monotonic()
    with pytest.raises(Unsendable, match="cid:x is not in inline"):
        mail(html=("<a src" + " " * 20_000 + "url(" + " " * 20_000) * 10 + "<img src=cid:x>")
    with pytest.raises(Unsendable, match="cid:x is not in inline"):
        mail(html="<a " + "/a" * 100_000 + " src" * 100_000 + "<" * 100_000 + "<img src=cid:x>")
    with pytest.raises(Unsendable, match="cid:x is not in inline"):
        mail(html="&#" + "1" * 100_000 + "<img src=cid:x&#" + "0" * 100_000 + ">")
    assert time.monotonic() - begun < 2


@pytest.mark.parametrize(
    ("html", "cid"),
    [
        ('<a href="https://x/?q=cid:other">x</a><img src="cid:logo">', "logo"),
        ("<p>write src=cid:other</p><code>&lt;img src=cid:other&gt;</code><img src=cid:logo>", "logo"),
        ('<img title="cid:other" data-src="cid:other" src="cid:logo">', "logo"),
        ('<img srcset="cid:logo 1x,cid:logo 2x">', "logo"),
        ("<!--[if mso]><v:fill src='cid:logo'/><![endif]-->", "logo"),
        ('<img alt="a > b" src="cid:logo">', "logo"),
        ('<img src="cid:it\'s">', "it's"),
        ('<img src="cid:a&amp;b">', "a&b"),
    ],
)
def test_what_only_reads_like_an_image_is_none(html: str, cid: str) -> None:
    assert [file.cid for file in mail(html=html, inline={cid: ("a.png", b"x")}).inline] == [cid]


def test_only_a_large_file_has_a_digest() -> None:
    assert attached(("a", b"x" * BLOB)).digest == ""
    large = b"x" * (BLOB + 1)
    assert attached(("a", large)).digest == sha256(large).hexdigest()


@pytest.mark.parametrize(
    ("item", "kind", "problem"),
    [
        (7, TypeError, "expected a path, (name, content) or (name, content, type), got int"),
        (None, TypeError, "expected a path, "),
        (b"x", TypeError, "expected a path, "),
        (("a",), TypeError, "expected a path, "),
        (("a", b"x", "a/b", "c"), TypeError, "expected a path, "),
        ({"name": "a", "content": "eA=="}, TypeError, "expected a path, (name, content) or (name, content, type), got"),
        (("a", 7), TypeError, "content: expected bytes or str, got int"),
        (("a", None), TypeError, "content: expected bytes or str, got NoneType"),
        (("a", open), TypeError, "content: expected bytes or str"),
        ((7, b"x"), TypeError, "name: expected str, got int"),
        (("a", b"x", 7), TypeError, "type: expected str, got int"),
        (("a", "\ud800"), Unsendable, "content: holds a lone surrogate"),
        (("a\ud800", b"x"), Unsendable, "name: holds a lone surrogate"),
        (("a\r\nX: y", b"x"), Unsendable, "name: holds a line break or another control character"),
        (("a\0", b"x"), Unsendable, "name: holds a line break or another"),
        (("a\u2028b", b"x"), Unsendable, "name: holds a line break or another"),
        (("a\x85b", b"x"), Unsendable, "name: holds a line break or another"),
        (("../../etc/passwd", b"x"), Unsendable, "name: holds a slash or a backslash; write the name alone"),
        (("..\\a", b"x"), Unsendable, "name: holds a slash or a backslash"),
        (("x" * 256, b"x"), Unsendable, "name: longer than 255 octets"),
        (("..", b"x"), Unsendable, "name: dots and blanks alone are no name of a file"),
        ((" . ", b"x"), Unsendable, "name: dots and blanks alone are no name of a file"),
        (("a", b"x", "text/plain" + "".join(f"; a{at}=b" for at in range(1000))), Unsendable, "type: expected type/"),
        (("a", "Ж", "text/plain; charset=iso-8859-1"), Unsendable, "content: is text that its type's charset has not"),
        (("a", "x", "text/plain; charset=base64"), Unsendable, "content: its type says a charset that is not known"),
        (BytesIO(b"x"), TypeError, f"{EXPECTED}, got BytesIO; write (name, ….read())"),
        (("a", b"x", "png"), Unsendable, "type: expected type/subtype, as in application/pdf"),
        (("a", b"x", "text/plain\r\nX: y"), Unsendable, "type: expected type/subtype"),
        (("a", b"x", "text/plain; a"), Unsendable, "type: expected type/subtype"),
        (("a", b"x", "text/plain; a=b; A=c"), Unsendable, "type: expected type/subtype"),
        (("a", b"x", "text/plaiñ"), Unsendable, "type: expected type/subtype"),
        (("a", b"x", "multipart/mixed; boundary=x"), Unsendable, "type: multipart/mixed is no file"),
        (("a", b"x", "message/partial"), Unsendable, "type: message/partial is no file"),
        (("a", b"x", "message/rfc822"), Unsendable, "message/rfc822, and does not begin with a header"),
        (("a", b"", "message/rfc822"), Unsendable, "message/rfc822, and does not begin with a header"),
    ],
)  # fmt: skip
def test_what_can_be_no_file_says_which_it_is_and_what_to_write(item: Any, kind: type[Exception], problem: str) -> None:
    with pytest.raises(kind) as caught:
        mail(attachments=[("a.txt", b"good"), item])
    assert str(caught.value).startswith(f"attachments[1]: {problem}")


@pytest.mark.parametrize("attachments", ["a.pdf", b"x", 7, {"a": b"x"}, {"a.pdf"}, Path("a.pdf"), StringIO("a.pdf\n")])
def test_attachments_are_a_list(attachments: Any) -> None:
    with pytest.raises(TypeError, match=r"^attachments: expected a list, and in it a path, .*; got "):
        mail(attachments=attachments)


@pytest.mark.parametrize("attachments", [("a.txt", b"x"), ("a.txt", b"x", "text/plain")])
def test_one_file_in_the_place_of_the_list_is_told_as_such_and_not_looked_for_as_a_path(attachments: Any) -> None:
    with pytest.raises(TypeError, match=r"; got one file: write \[\(name, content\)\]$"):
        mail(attachments=attachments)


def test_any_list_will_do_and_none_is_none() -> None:
    files = [("a", b"x"), ("b", b"y")]
    assert mail(attachments=iter(files)).attachments == mail(attachments=tuple(files)).attachments
    assert mail(attachments=None, inline=None).files == ()
    assert mail(attachments=[]).files == ()


def test_a_list_without_end_ends_at_the_limit() -> None:
    def files() -> Any:
        while True:
            yield ("a", b"x" * 1000)

    with pytest.raises(Unsendable, match="as a mail, more than the limit"):
        mail(attachments=files())


@pytest.mark.parametrize(
    ("html", "inline", "problem"),
    [
        ("<img src='cid:logo'>", None, "html: cid:logo is not in inline"),
        ("<td background=cid:logo>", {}, "html: cid:logo is not in inline"),
        ('<p style="background: url(&quot;cid:logo&quot;)">', {}, "html: cid:logo is not in inline"),
        ("<p style='background: url(cid:logo)'>", {}, "html: cid:logo is not in inline"),
        ("<IMG SRC = \" CID:logo \">", {}, "html: cid:logo is not in inline"),
        ("<p>x", {"logo": ("l.png", b"x")}, "inline: cid logo is not used in html; use attachments"),
        (None, {"logo": ("l.png", b"x")}, "inline: cid logo is not used in html"),
        ("<img src='cid:logo'>", {"logo\r\nX": ("l.png", b"x")}, "inline: a cid is up to 100 of"),
        ("<img src='cid:logo'>", {"lo go": ("l.png", b"x")}, "inline: a cid is"),
        ("<img src='cid:logo'>", {"<logo>": ("l.png", b"x")}, "inline: a cid is"),
        ("<img src='cid:logo'>", {"": ("l.png", b"x")}, "inline: a cid is"),
        ("<img src='cid:logo'>", {"logo": "none.png"}, "inline['logo']: no such file: none.png"),
    ],
)  # fmt: skip
def test_each_image_is_shown_and_each_that_is_shown_is_there(html: Any, inline: Any, problem: str) -> None:
    """Symfony has had four reports of one of them missing: 63677, 60097, 42921, 62423."""
    with pytest.raises(Unsendable) as caught:
        mail(html=html, inline=inline)
    assert str(caught.value).startswith(problem)


@pytest.mark.parametrize(
    ("html", "cid"),
    [
        ("<img src='cid:logo'>", "logo"),
        ("<img src=cid:logo>", "logo"),
        ("<img src='cid:logo%40site'>", "logo@site"),
        ("<img src='cid:a&amp;b'>", "a&b"),
        ('<p style="background: url(&quot;cid:logo&quot;)">', "logo"),
        ('<p style="background: url(&#39;cid:logo&#39;)">', "logo"),
        ("<v:fill src='cid:logo.png@01D5'/>", "logo.png@01D5"),
        ("<img srcset='x.png 1x, cid:logo 2x'>", "logo"),
        ("<style>p{background:url( \"cid:logo\" )}</style>", "logo"),
        ("<p>see cid:other<img src='cid:logo'>", "logo"),  # words are no image
    ],
)  # fmt: skip
def test_an_image_is_shown_in_the_ways_that_html_has(html: str, cid: str) -> None:
    (file,) = mail(html=html, inline={cid: ("l.png", b"x")}).inline
    assert (file.cid, file.type) == (cid, "image/png")


def test_inline_is_a_dict() -> None:
    with pytest.raises(TypeError, match=r"^inline: expected \{cid: file\}, each file a path, .*; got list$"):
        mail(inline=["logo.png"])
    with pytest.raises(TypeError, match=r"^inline: a cid: expected str, got int$"):
        mail(inline={7: "logo.png"})


def test_a_message_of_another_program_has_its_files_in_base64_and_no_path_of_its_is_read(here: Path) -> None:
    (here / "secret").write_bytes(b"secret")
    coded = b64encode(b"x").decode()
    for attachments in (
        {"a.png": coded},
        [{"name": "a.png", "content": coded}],
        [{"name": "a.png", "content": coded, "type": None}],
    ):
        (file,) = mail(from_message=True, attachments=attachments).attachments
        assert file == File("a.png", "image/png", b"x")
    for path in ("secret", "./secret", str(here / "secret")):
        for attachments in ([path], {"a": path}, [["a", path]], [{"name": "a", "path": path}], path):
            with contextlib.suppress(Unsendable):  # some of them are base64
                files = mail(from_message=True, attachments=attachments).attachments
                assert all(b"secret" not in (file.content or b"") for file in files)
    html = "<img src='cid:logo'>"
    (file,) = mail(from_message=True, html=html, inline={"logo": {"name": "l.png", "content": coded}}).inline
    assert file == File("l.png", "image/png", b"x", cid="logo")
