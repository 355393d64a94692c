"""What the demo's inbox shows of a mail, and that no mail can do more there than be seen."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from mailworker.demo import demo, page
from mailworker.demo.content import safe_name
from mailworker.demo.inbox import Mail
from mailworker.demo.web import Pages


def mail(raw: bytes, number: int = 1, recipient: str = "ada@example.com") -> Mail:
    return Mail(number, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "site@example.com", (recipient,), raw)


class Box:
    def __init__(self, *mails: Mail) -> None:
        self._mails = list(mails)

    def mails(self) -> list[Mail]:
        return self._mails


def test_subject_and_body_are_decoded() -> None:
    raw = (
        b"Subject: =?utf-8?q?caf=C3=A9?=\r\nContent-Type: text/plain; charset=utf-8\r\n"
        b"Content-Transfer-Encoding: base64\r\n\r\nzpXOu867zqzOtM6x\r\n"
    )

    assert mail(raw).subject == "café"
    assert mail(raw).content.text == "Ελλάδα"


@pytest.mark.parametrize(
    ("raw", "body"),
    [
        (b"\r\nno header at all", "no header at all"),
        (b"", ""),
        (b"Content-Type: text/plain; charset=no-such\r\n\r\ncaf\xc3\xa9", "café"),
        (b"Content-Type: text/plain; charset=\x00\r\n\r\nx", "x"),
        (b"Content-Type: text/plain; charset=us-ascii\r\n\r\ncaf\xc3\xa9", "caf��"),
        (b"Content-Type: multipart/mixed; boundary=b\r\n\r\nno part", ""),
        (b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nfirst\r\n--b\r\n\r\nsecond\r\n--b--", "first"),
    ],
)  # fmt: skip
def test_a_body_that_is_not_what_it_says_is_shown_all_the_same(raw: bytes, body: str) -> None:
    assert mail(raw).content.text == body
    assert page.one_mail(mail(raw))


@pytest.mark.parametrize(
    "header",
    [b"To: \xff\xfe", b"To: (", b"From: @", b"To: =?utf-8?b?\xff?=", b"Message-ID: <[", b"Subject: =?x?q?=00?="],
)
def test_a_header_that_is_none_is_shown_all_the_same(header: bytes) -> None:
    assert page.one_mail(mail(header + b"\r\n\r\nbody"))
    assert page.mail_list([mail(header + b"\r\n\r\nbody")])


def test_nothing_in_a_mail_is_html_on_the_pages_of_the_inbox() -> None:
    evil = "<script>alert(1)</script>\"'&"
    hostile = mail(
        "".join(f"{name}: {evil}\r\n" for name in ("Subject", "From", "To", "Message-ID", "X-Other")).encode()
        + f"Content-Type: text/html\r\n\r\n{evil}<img src=x>".encode(),
        recipient=evil,
    )

    for text in (page.mail_list([hostile]), page.one_mail(hostile)):
        assert "<script" not in text
        assert "<img" not in text
        assert "&lt;script&gt;" in text
    assert 'sandbox=""' in page.one_mail(hostile)


def test_the_list_shows_the_newest_first_and_each_mail_has_a_page() -> None:
    pages = Pages(Box(mail(b"Subject: older\r\n\r\n", 1), mail(b"Subject: newer\r\n\r\n", 2)))  # type: ignore[arg-type]

    answer = pages.get("/")
    text = answer.content.decode()

    assert answer.status == 200
    assert "2 mails" in text
    assert text.index("newer") < text.index("older")
    assert "older" in pages.get("/mails/1").content.decode()
    assert pages.get("/mails/3").status == 404
    assert pages.get("/mails/1/../../etc/passwd").status == 404


RICH = (
    b"Subject: rich\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=m\r\n\r\n"
    b"--m\r\nContent-Type: multipart/related; boundary=r\r\n\r\n"
    b"--r\r\nContent-Type: multipart/alternative; boundary=a\r\n\r\n"
    b"--a\r\nContent-Type: text/plain\r\n\r\nthe text\r\n"
    b"--a\r\nContent-Type: text/html\r\n\r\n<p>the html<img src='cid:logo'><a href='cid:logo2'>x</a>"
    b"<meta http-equiv=refresh content='0;url=https://evil.example'><link rel=preconnect href='https://evil.example'><script>1</script>\r\n--a--\r\n"
    b"--r\r\nContent-Type: image/png; name=logo.png\r\nContent-ID: <logo>\r\nContent-Transfer-Encoding: base64\r\n"
    b"Content-Disposition: inline\r\n\r\niVBORw==\r\n--r--\r\n"
    b"--m\r\nContent-Type: text/html\r\nContent-Disposition: attachment; filename*=utf-8''..%2Fr%C3%BCck%22.html\r\n"
    b"\r\n<script>alert(1)</script>\r\n"
    b"--m\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\nhello\r\n--m--\r\n"
)


def test_a_mail_is_shown_with_its_html_its_text_and_its_files() -> None:
    pages = Pages(Box(mail(RICH)))  # type: ignore[arg-type]
    text = pages.get("/mails/1").content.decode()

    assert '<iframe sandbox="" referrerpolicy="no-referrer"' in text
    assert "the text" in text
    assert "the html" not in text.partition("<details><summary>As it came")[0]
    assert ">rück_.html</a>" in text
    assert "logo.png</a>" not in text
    assert mail(RICH).content.parts[2].content == b"Subject: inner\n\nhello"


def test_the_html_has_its_images_in_it_and_nothing_that_reaches_out() -> None:
    answer = Pages(Box(mail(RICH))).get("/mails/1/html")  # type: ignore[arg-type]
    text = answer.content.decode()

    assert '<img src="data:image/png;base64,iVBORw==">' in text
    for gone in ("<script", "<meta", "<link"):
        assert gone not in text
    assert answer.headers["Content-Security-Policy"].startswith("sandbox; default-src 'none';")
    assert Pages(Box(mail(b"\r\ntext"))).get("/mails/1/html").status == 404  # type: ignore[arg-type]


def test_a_file_is_saved_and_never_shown() -> None:
    pages = Pages(Box(mail(RICH)))  # type: ignore[arg-type]

    answer = pages.get("/mails/1/files/2")

    assert answer.content == b"<script>alert(1)</script>"
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["Content-Disposition"] == (
        "attachment; filename=\"r_ck_.html\"; filename*=UTF-8''r%C3%BCck_.html"
    )
    assert [pages.get(f"/mails/1/files/{number}").status for number in (0, 1, 3, 4, 10**4)] == [404, 200, 200, 404, 404]


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\Windows\\evil.exe", "evil.exe"),
        ('a"b\r\nX: y.txt', "a_b_X_ y.txt"),
        ("exe.\u202etxt.cod", "exe._txt.cod"),
        ("..", "file-1"),
        ("", "file-1"),
        (".htaccess", "htaccess"),
        ("文件 (1).docx", "文件 (1).docx"),
        ("x" * 300 + ".pdf", "x" * 90 + ".pdf"),
        ("\ud800.txt", "_.txt"),
    ],
)
def test_a_name_of_a_file_leads_nowhere(name: str, safe: str) -> None:
    assert safe_name(name) == safe


def test_the_demos_entry_is_what_php_writes() -> None:
    text = "Hello Ada,\n\nan entry of the legacy list is a mail like any other: café, naïve, Ελλάδα.\n"

    assert (
        demo.legacy_entry()
        == (
            'a:3:{s:2:"to";a:1:{s:15:"ada@example.com";s:12:"Ada Lovelace";}s:4:"body";s:95:"' + text + '";'
            's:7:"subject";s:34:"Pushed by PHP onto the legacy list";}'
        ).encode()
    )
