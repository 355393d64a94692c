"""The cases of Symfony Mime's and Swiftmailer's own tests of headers and parts, under their names there.

Octets are compared where both write the same; where we write another form, what a reader makes of it is.
"""

from __future__ import annotations

import re
from typing import Any

import pytest

from mailworker.mail.address import Mailbox
from mailworker.mail.arguments import from_arguments
from mailworker.mail.email import Email, Limits
from mailworker.mail.file import File
from mailworker.mail.wire.mime import build

from .reader import files, read, shape, texts
from .test_mime import AT, SENDER

FILE = File("", "application/octet-stream", b"content")
IMAGE = File("test.gif", "image/gif", b"GIF89a")
SHOWN = File("test.gif", "image/gif", b"GIF89a", cid="test.gif")
TEXT, HTML, CID = b"text content", b"html content", b'html content <img src="cid:test.gif">'


def built(**fields: Any) -> bytes:
    email = Email(**{"to": (Mailbox("you@example.com"),), "subject": b"", "body": None, **fields})
    return build(email, SENDER, "id@example.com", AT).data


def message(**fields: Any) -> Any:
    email = Email(**{"to": (Mailbox("you@example.com"),), "subject": b"", "body": None, **fields})
    return read(build(email, SENDER, "id@example.com", AT))


@pytest.mark.parametrize(
    ("case", "fields", "expected"),
    [
        ("TextOnly", {"body": TEXT}, "text/plain"),
        ("HtmlOnly", {"html": HTML}, "text/html"),
        ("TextAndHtml", {"body": TEXT, "html": HTML}, "alternative(text/plain, text/html)"),
        ("TextContentAndAttachedFile", {"body": TEXT, "attachments": (FILE,)}, "mixed(text/plain, FILE)"),
        ("HtmlContentAndAttachedFile", {"html": HTML, "attachments": (FILE,)}, "mixed(text/html, FILE)"),
        ("AttachedFileOnly", {"attachments": (FILE,)}, "mixed(FILE)"),
        ("InlineImageOnly", {"inline": (SHOWN,)}, "mixed(image/gif)"),
        (
            "TextAndHtmlContentAndAttachedFile",
            {"body": TEXT, "html": HTML, "attachments": (FILE,)},
            "mixed(alternative(text/plain, text/html), FILE)",
        ),
        (
            "TextAndHtmlAndAttachedFileAndAttachedImageNotReferenced",
            {"body": TEXT, "html": HTML, "attachments": (FILE, IMAGE)},
            "mixed(alternative(text/plain, text/html), FILE, image/gif)",
        ),
        (
            "TextAndAttachedFileAndAttachedImageNotReferenced",
            {"body": TEXT, "attachments": (FILE, IMAGE)},
            "mixed(text/plain, FILE, image/gif)",
        ),
        (  # Symfony puts `related` around `alternative`, which cost it 44290 and 46298
            "TextAndHtmlAndAttachedFileAndAttachedImageReferencedViaCid",
            {"body": TEXT, "html": CID, "attachments": (FILE,), "inline": (SHOWN,)},
            "mixed(alternative(text/plain, related(text/html, image/gif)), FILE)",
        ),
        ("HtmlAndInlinedImageReferencedViaCid", {"html": CID, "inline": (SHOWN,)}, "related(text/html, image/gif)"),
    ],
    ids=lambda value: value if isinstance(value, str) and "(" not in value else "",
)
def test_generate_body_with(case: str, fields: dict[str, Any], expected: str) -> None:
    """Symfony, EmailTest, testGenerateBodyWith…; Swiftmailer, Bug34, Bug35, Bug38, testHtmlPartAlwaysAppearsLast,
    testAttachmentsAndEmbeddedFilesBeingAttached."""
    parsed = message(**fields)
    assert shape(parsed) == expected.replace("FILE", "application/octet-stream")
    for field, kind in (("body", "text/plain"), ("html", "text/html")):
        if field in fields:
            assert texts(parsed)[kind].removesuffix(b"\r\n") == fields[field]
    given = (*fields.get("inline", ()), *fields.get("attachments", ()))
    assert [(file.name, file.content, file.cid) for file in files(parsed)] == [
        (f.name, f.content, f.cid) for f in given
    ]


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("Foo", b"bar", b"Foo: bar"),
        (  # testLongHeadersAreFoldedAtWordBoundary
            "X-Custom-Header",
            b"The quick brown fox jumped over the fence, he was a very very scary brown fox with a bushy tail",
            b"X-Custom-Header: The quick brown fox jumped over the fence, he was a very\r\n"
            b" very scary brown fox with a bushy tail",
        ),
        # testSettingMultipleIdsProducesAListValue, testIdLeftCanBe…, testIdRightCanBe…
        ("References", b"<a@b> <x@y>", b"References: <a@b> <x@y>"),
        ("References", b'<"ab"@c>', b'References: <"ab"@c>'),
        ("References", b'<"a\\<\\>b"@c>', b'References: <"a\\<\\>b"@c>'),
        ("References", b"<a.b+&%$.c@d>", b"References: <a.b+&%$.c@d>"),
        ("References", b"<a@b.c+&%$.d>", b"References: <a@b.c+&%$.d>"),
        ("References", b"<a@[1.2.3.4]>", b"References: <a@[1.2.3.4]>"),
        ("In-Reply-To", b"<foo@bar.com>", b"In-Reply-To: <foo@bar.com>"),
        ("In-Reply-To", b"foobar", b"In-Reply-To: foobar"),  # testInReplyToAcceptsNonIdentifierValues
        ("References", b"foobar", b"References: foobar"),
        # Swiftmailer, Bug111: testUnstructuredHeaderSlashesShouldNotBeEscaped
        ("X-SMTPAPI", rb'{"a":["\"email2\"","email3\\"],"u":"http:\/\/x"}', None),
    ],
)
def test_headers(name: str, value: bytes, line: bytes | None) -> None:
    """Symfony, UnstructuredHeaderTest, IdentificationHeaderTest, HeadersTest."""
    assert b"\r\n%b\r\n" % (line or b"%b: %b" % (name.encode(), value)) in built(headers=((name, value),))


@pytest.mark.parametrize("octet", [*range(0x80, 0x100)])
def test_encoded_words_are_used_to_encode_8_bit_octets(octet: int) -> None:
    """testEncodedWordsAreUsedToEncode8BitOctets, testPrintableAsciiOnlyAppearsInHeaders, testEncodedWordsFollowGeneral
    Structure: in base64 and under the name utf-8, whatever they were."""
    match = re.search(rb"\r\nX-A: (=\?utf-8\?B\?[A-Za-z0-9+/=]+\?=)\r\n", built(headers=(("X-A", bytes([octet])),)))
    assert match
    assert len(match[1]) <= 75  # testEncodedWordsAreNoMoreThan75CharsPerLine


@pytest.mark.parametrize(
    ("to", "line"),
    [
        ("chris@swiftmailer.org", "chris@swiftmailer.org"),
        ({"chris@swiftmailer.org": "Chris Corbyn"}, "Chris Corbyn <chris@swiftmailer.org>"),
        ({"chris@swiftmailer.org": 'Chris Corbyn, "DHE"'}, r'"Chris Corbyn, \"DHE\"" <chris@swiftmailer.org>'),
        (
            {"chris@swiftmailer.org": "Chris Corbyn, \\escaped\\"},
            r'"Chris Corbyn, \\escaped\\" <chris@swiftmailer.org>',
        ),
        ({"j.doe@example.com": "J Doe (ACME)"}, '"J Doe (ACME)" <j.doe@example.com>'),
        ({"chris@swïftmailer.org": "Chris Corbyn"}, "Chris Corbyn <chris@xn--swftmailer-78a.org>"),
        ({"chrïs@swiftmailer.org": "Chris Corbyn"}, "Chris Corbyn <chrïs@swiftmailer.org>"),
        (["chris@swiftmailer.org", "mark@swiftmailer.org"], "chris@swiftmailer.org, mark@swiftmailer.org"),
        (
            {"chris@example.org": "Chris Corbyn", "mark@example.org": "Mark Corbyn"},
            "Chris Corbyn <chris@example.org>, Mark Corbyn <mark@example.org>",
        ),
    ],
)
@pytest.mark.parametrize("header", ["To", "Cc", "Reply-To"])
def test_mailbox_lists(to: Any, line: str, header: str) -> None:
    """Symfony, MailboxListHeaderTest."""
    boxes = from_arguments((to, "s", "b"), {}, Limits()).mail.to  # type: ignore[union-attr]
    fields = {"To": {"to": boxes}, "Cc": {"to": (), "cc": boxes}, "Reply-To": {"reply_to": boxes}}[header]
    assert f"\r\n{header}: {line}\r\n".encode() in built(body=b"", **fields)


@pytest.mark.parametrize(
    "name",
    ["Family Name, Name", "Family Namé, Name", "Family Namé , Name", "Family Namé ;Name", 'this is " a test ö',
     ": this is a test ö", "( test ö", "[ test ö", "@ test ö)", "C\u008frbyn"],
)  # fmt: skip
def test_mailbox_header_encoding(name: str) -> None:
    """Swiftmailer, Bug206 and Bug650: a comma or a quote in a name that is encoded is none of the header."""
    [box] = message(to=(Mailbox("test@example.com", name.encode()),))["to"].addresses
    assert (box.display_name, box.addr_spec) == (name.replace("\u008f", " "), "test@example.com")


@pytest.mark.parametrize(
    ("file", "head"),
    [
        (  # testHeaders
            FILE,
            b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n"
            b"Content-Disposition: attachment\r\n\r\n",
        ),
        (
            File("photo.jpg", "text/html", b"content"),
            b'Content-Type: text/html;\r\n charset=utf-8;\r\n name="photo.jpg"\r\nContent-Transfer-Encoding: base64\r\n'
            b'Content-Disposition: attachment;\r\n filename="photo.jpg"\r\n\r\n',
        ),
        (  # testSpaceInParamResultsInQuotedString
            File("my file.txt", "a/b", b"content"),
            b'Content-Type: a/b;\r\n name="my file.txt"\r\nContent-Transfer-Encoding: base64\r\n'
            b'Content-Disposition: attachment;\r\n filename="my file.txt"\r\n\r\n',
        ),
    ],
)
def test_data_part(file: File, head: bytes) -> None:
    """Symfony, DataPartTest and ParameterizedHeaderTest; Swiftmailer, AttachmentAcceptanceTest."""
    assert b"--=_0_" in built(attachments=(file,))
    assert head + b"Y29udGVudA==\r\n" in built(attachments=(file,))


def test_as_inline_with_cid() -> None:
    shown = File("photo.jpg", "image/jpeg", b"content", cid="test@test")
    assert (
        b'Content-Type: image/jpeg;\r\n name="photo.jpg"\r\nContent-Transfer-Encoding: base64\r\n'
        b'Content-Disposition: inline;\r\n filename="photo.jpg"\r\nContent-ID: <test@test>\r\n\r\nY29udGVudA==\r\n'
    ) in built(html=HTML, inline=(shown,))


def test_long_params_are_broken_into_multiple_attribute_strings() -> None:
    """Only where they are not plain, or fill a line: Outlook reads no continuations (MimeKit 281)."""
    assert b'filename="%b"' % (b"a" * 180) in built(attachments=(File("a" * 180, "a/b", b""),))
    data = built(attachments=(File("a" * 20 + "\u008f" + "ä" * 60, "a/b", b""),))
    assert b" filename*0*=UTF-8''" + b"a" * 20 + b"%20" in data
    assert b";\r\n filename*1*=%C3%A4" in data


def test_message_part() -> None:
    """Symfony writes it in base64, which RFC 2046, 5.2.1 forbids."""
    inner = File("Subject.eml", "message/rfc822", b"Subject: Subject\r\n\r\ncontent\r\n")
    data = built(attachments=(inner,))
    assert b'message/rfc822;\r\n name="Subject.eml"\r\nContent-Transfer-Encoding: 7bit\r\n' in data
    assert b"\r\n\r\nSubject: Subject\r\n\r\ncontent\r\n\r\n--=_0_" in data


@pytest.mark.parametrize("content", [b"", b"\0", b"\xff" * 56, b"\xff" * 57, b"\xff" * 58, bytes(range(256)) * 8192])
def test_embedded_file_of_any_octets(content: bytes) -> None:
    """Swiftmailer, Bug51 (a file of random octets arrives whole), Base64EncoderAcceptanceTest."""
    [file] = files(message(attachments=(File("f.bin", "application/octet-stream", content),)))
    assert file.content == content
