"""What a mail is made of arrives: texts, images, files, each where readers look for it and as it was."""

from __future__ import annotations

import re
import tracemalloc
from hashlib import sha256

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from mailworker.envelope import Dsn
from mailworker.errors import Unsendable
from mailworker.mail import encoding
from mailworker.mail.address import Mailbox
from mailworker.mail.email import Email
from mailworker.mail.file import File
from mailworker.mail.wire.mime import build

from .reader import files, read, shape, texts
from .test_mime import AT, SENDER, lines_of, one_line

TO = (Mailbox("to@example.com", b"To"),)
PDF = File("a.pdf", "application/pdf", b"%PDF-\0\xff\r\n\n" * 9)
LOGO = File("logo.png", "image/png", b"\x89PNG\r\n\x1a\n", cid="logo")
ICS = b"BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nSUMMARY:Gr\xc3\xbc\xc3\x9fe\r\nEND:VCALENDAR\r\n"
INVITE = File("invite.ics", "text/calendar; method=REQUEST", ICS)
MAIL = File("m.eml", "message/rfc822", b"Subject: inner\nX-Inner: 1\n\nHello\n")


def mail(body: bytes | None = b"text\n", html: bytes | None = None, **more: object) -> Email:
    return Email(**{"to": TO, "subject": b"s", "body": body, "html": html, **more})  # type: ignore[arg-type]


def built(email: Email, message_id: str = "id@example.com") -> bytes:
    return build(email, SENDER, message_id, AT).data


HTML = b"<p>html</p>\n"


@pytest.mark.parametrize(
    ("email", "expected"),
    [
        (mail(), "text/plain"),
        (mail(b""), "text/plain"),
        (mail(None), "text/plain"),
        (mail(None, HTML), "text/html"),
        (mail(None, b""), "text/html"),
        (mail(b"t", HTML), "alternative(text/plain, text/html)"),
        (mail(b"", HTML), "alternative(text/plain, text/html)"),
        (mail(None, HTML, inline=(LOGO,)), "related(text/html, image/png)"),
        (mail(b"t", HTML, inline=(LOGO,)), "alternative(text/plain, related(text/html, image/png))"),
        (mail(b"t", attachments=(PDF,)), "mixed(text/plain, application/pdf)"),
        (mail(None, HTML, attachments=(PDF, PDF)), "mixed(text/html, application/pdf, application/pdf)"),
        (mail(b"t", HTML, attachments=(PDF,)), "mixed(alternative(text/plain, text/html), application/pdf)"),
        (
            mail(b"t", HTML, inline=(LOGO,), attachments=(PDF,)),
            "mixed(alternative(text/plain, related(text/html, image/png)), application/pdf)",
        ),
        (mail(None, attachments=(PDF,)), "mixed(application/pdf)"),
        (mail(b"t", inline=(LOGO,)), "mixed(text/plain, image/png)"),
        (mail(None, attachments=(INVITE,)), "mixed(text/calendar, application/ics)"),
        (mail(b"t", attachments=(INVITE,)), "mixed(alternative(text/plain, text/calendar), application/ics)"),
        (
            mail(b"t", HTML, attachments=(INVITE, PDF)),
            "mixed(alternative(text/plain, text/html, text/calendar), application/ics, application/pdf)",
        ),
        (mail(b"t", attachments=(INVITE, INVITE)), "mixed(text/plain, application/ics, application/ics)"),
        (mail(b"t", attachments=(MAIL,)), "mixed(text/plain, message/rfc822)"),
    ],
)
def test_each_level_is_there_only_where_it_is_needed(email: Email, expected: str) -> None:
    assert shape(read(build(email, SENDER, "id@example.com", AT))) == expected


NAMES = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("a.\"'%*=?\\ é"), max_size=90)
TEXTS = (
    st.binary(max_size=200)
    | st.text(max_size=100).map(lambda text: text.encode("utf-8", "surrogatepass"))
    | st.text("ab\r\n.-=_ é😀", max_size=80).map(str.encode)
    | st.just(b"x" * 1000)
)
TYPES = st.sampled_from(["application/pdf", "text/csv", "text/plain; charset=latin1", "image/svg+xml"])
ATTACHED = st.builds(File, NAMES, TYPES, TEXTS)
SHOWN = st.builds(File, NAMES, TYPES, TEXTS, cid=st.from_regex(r"[a-z0-9.@$+-]{1,20}", fullmatch=True))
EMAILS = st.builds(
    Email,
    to=st.just(TO),
    subject=st.just(b"s"),
    body=TEXTS | st.none(),
    html=TEXTS | st.none(),
    attachments=st.lists(ATTACHED, max_size=3).map(tuple),
    inline=st.lists(SHOWN, max_size=2).map(tuple),
)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(EMAILS)
@example(mail(b"--=_0_\r\n\r\n--\r\n", b"--=_1_"))
@example(mail(b"\n", b"\r\n"))
@example(mail(b"a\r", b"b\n\n"))
def test_any_mail_arrives_as_it_was(email: Email) -> None:
    message = read(build(email, SENDER, "id@example.com", AT))
    arrived = [(file.name, file.content, file.cid) for file in files(message)]
    assert arrived == [(shown(file.name), file.content, file.cid) for file in email.files]
    meant = {"text/plain": email.body, "text/html": email.html}
    if email.html is None and not email.files and email.body is None:
        meant["text/plain"] = b""
    shown_texts = texts(message)
    assert shown_texts.keys() == {kind for kind, text in meant.items() if text is not None}
    for kind, text in shown_texts.items():
        if message.is_multipart():  # to the last line break, which a text that is a mail by itself has always
            assert text == re.sub(rb"\r\n|\r|\n", b"\r\n", meant[kind] or b"")
        else:
            assert lines_of(text) == lines_of(meant[kind] or b"")


def shown(name: str) -> str:
    return one_line(name.encode()).decode()


@given(EMAILS, st.text(max_size=20).map("{}@example.com".format))
def test_a_mail_is_the_same_octets_at_every_attempt(email: Email, message_id: str) -> None:
    assert built(email, message_id) == built(email, message_id)


@given(EMAILS)
def test_a_mail_is_the_same_octets_with_parts_that_were_finished_before(email: Email) -> None:
    """A child keeps the parts of files that many mails have, and has the file's octets no more."""
    digests = {file: sha256(file.content or b"").hexdigest() for file in email.files}
    known = Email(
        email.to, email.subject, email.body, email.html,
        attachments=tuple(File(f.name, f.type, f.content, digests[f]) for f in email.attachments),
        inline=tuple(File(f.name, f.type, None, digests[f], f.cid) for f in email.inline),
    )  # fmt: skip
    encoded = {digests[file]: encoding.base64(file.content or b"") for file in email.files}
    assert build(known, SENDER, "id@example.com", AT, encoded).data == built(email)


def test_a_text_file_that_many_mails_have_is_not_decoded_for_each() -> None:
    content = "ü".encode() * 2**20
    digest = sha256(content).hexdigest()
    part = {digest: encoding.base64(content)}
    email = mail(attachments=(File("a.csv", "text/csv", None, digest),))
    first = build(email, SENDER, "id@example.com", AT, part).data
    assert first == built(mail(attachments=(File("a.csv", "text/csv", content),)))
    tracemalloc.start()
    try:
        assert build(email, SENDER, "id@example.com", AT, part).data == first
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1.3 * len(first)


def test_a_file_whose_octets_are_nowhere_is_not_left_out() -> None:
    with pytest.raises(Unsendable, match="octets of a file") as caught:
        built(mail(attachments=(File("a", "application/pdf", None, "0" * 64),)))
    assert caught.value.reason == "unbuildable"


def boundary(email: Email) -> bytes:
    match = re.search(rb'boundary="=_0_([0-9a-f]+)"', built(email))
    assert match
    return match[1]


@pytest.mark.parametrize("where", ["body", "html", "eml", "ics"])
def test_no_boundary_stands_in_what_goes_as_it_is(where: str) -> None:
    """Not even one that somebody wrote there who knows the mail's Message-ID."""
    token = boundary(mail(b"t", HTML))
    planted = b"--=_0_%b\r\n\r\nevil\r\n--=_0_%b--\r\n" % (token, token)
    email = {
        "body": mail(planted, HTML),
        "html": mail(b"t", planted),
        "eml": mail(b"t", attachments=(File("m.eml", "message/rfc822", b"Subject: x\r\n\r\n" + planted),)),
        "ics": mail(b"t", attachments=(File("i.ics", INVITE.type, planted),)),
    }[where]
    assert boundary(email) != token
    assert built(email).count(b"=_0_" + token) == 2


def test_a_text_of_nothing_but_boundaries_keeps_nobody_busy() -> None:
    tokens = [sha256(f"{number} id@example.com".encode()).hexdigest()[:24] for number in range(1000)]
    with pytest.raises(Unsendable) as caught:
        built(mail("\n".join(tokens).encode(), HTML))
    assert caught.value.reason == "unbuildable"


def test_an_empty_file_has_a_body_of_its_own() -> None:
    data = built(mail(attachments=(File("a.txt", "a/b", b""), PDF)))
    assert b'filename="a.txt"\r\n\r\n\r\n--=_0_' in data


def test_two_mails_have_boundaries_of_their_own() -> None:
    assert built(mail(b"t", HTML), "a@b") != built(mail(b"t", HTML), "c@b").replace(b"c@b", b"a@b")


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        (b"<p>ascii</p>", b"7bit"),
        (b"<p>" + b"x" * 999, b"quoted-printable"),
        ("<p>Grüße an alle, die da sind</p>".encode(), b"quoted-printable"),
        ("<p>Привет всем</p>".encode(), b"base64"),
        (b"nul\0", b"quoted-printable"),
        (b"", b"7bit"),
    ],
)
def test_html_goes_in_the_shorter_encoding(html: bytes, expected: bytes) -> None:
    assert b"text/html; charset=utf-8\r\nContent-Transfer-Encoding: %b\r\n\r\n" % expected in built(mail(None, html))


@given(st.binary(max_size=400), st.integers(0, 3))
def test_base64_has_lines_of_76_letters_and_its_slices_fit_together(content: bytes, times: int) -> None:
    import base64

    content = content * 700 * times + content
    assert encoding.base64(content) == (base64.encodebytes(content).replace(b"\n", b"\r\n") or b"\r\n")


# Mails, invitations and texts as files


@pytest.mark.parametrize("inner", [b"Subject: x\n\nbody", b"Subject: x\r\n\r\nbody\r\n", b"Subject: x\r\rbody\n\n"])
def test_a_mail_as_a_file_is_in_no_transfer_encoding(inner: bytes) -> None:
    """RFC 2046, 5.2.1. Thunderbird shows one in base64 as an empty file (mikel/mail 1106, odoo 194988, glpi 9176)."""
    data = built(mail(attachments=(File("m.eml", "message/rfc822", inner),)))
    assert b'message/rfc822;\r\n name="m.eml"\r\nContent-Transfer-Encoding: 7bit\r\n' in data
    assert re.sub(rb"\r\n|\r|\n", b"\r\n", inner) + b"\r\n--=_0_" in data


@pytest.mark.parametrize("inner", ["Subject: ü\n\nx".encode(), b"Subject: x\n\n" + b"y" * 999, b"Subject: x\n\n\0"])
def test_a_mail_that_does_not_go_as_it_is_goes_as_a_file_with_its_octets(inner: bytes) -> None:
    """In 8bit it would depend on each relay on its way, and a relay that rewrites it breaks every signature."""
    [file] = files(read(build(mail(attachments=(File("m.eml", "message/rfc822", inner),)), SENDER, "i@b.c", AT)))
    assert (file.name, file.type, file.content) == ("m.eml", "application/octet-stream", inner)
    nameless = mail(attachments=(File("", "message/rfc822", inner),))
    assert files(read(build(nameless, SENDER, "i@b.c", AT)))[0].name == "message.eml"


def test_an_invitation_is_a_text_of_the_mail_and_a_file_beside_it() -> None:
    """PHPMailer 175, simple-java-mail 339, symfony-docs 22832: buttons are shown for `method=` in the alternative, in
    a charset that is named, not in base64. The file beside it is what other readers look for (nodemailer 1185, 1202),
    and the text stays where there are other files, or Outlook does not know it (nodemailer 1206)."""
    envelope = build(mail(b"t", HTML, attachments=(INVITE,)), SENDER, "id@example.com", AT)
    message = read(envelope)
    [calendar] = [part for part in message.walk() if part.get_content_type() == "text/calendar"]
    assert dict(calendar["content-type"].params) == {"method": "REQUEST", "charset": "utf-8"}
    assert calendar["content-transfer-encoding"] == "quoted-printable"
    assert calendar.get_payload(decode=True) == ICS
    assert "content-disposition" not in calendar
    [file] = files(message)
    assert (file.name, file.type, file.content) == ("invite.ics", "application/ics", ICS)


@pytest.mark.parametrize("charset", ["utf-16", "utf-16-le", '"UTF-32"'])
def test_an_invitation_is_in_a_charset_that_has_lines(charset: str) -> None:
    """Whatever its file is in: a line break of UTF-16 is none of a mail's (RFC 2781, 4)."""
    content = ICS.decode().encode(charset.strip('"'))
    file = File("i.ics", f"text/calendar; method=REQUEST; charset={charset}", content)
    message = read(build(mail(attachments=(file,)), SENDER, "i@b.c", AT))
    [calendar] = [part for part in message.walk() if part.get_content_type() == "text/calendar"]
    assert dict(calendar["content-type"].params) == {"method": "REQUEST", "charset": "utf-8"}
    assert calendar.get_payload(decode=True) == ICS
    assert files(message)[-1].content == content


def test_a_calendar_that_asks_for_nothing_is_a_file() -> None:
    [file] = files(read(build(mail(attachments=(File("a.ics", "text/calendar", ICS),)), SENDER, "i@b.c", AT)))
    assert (file.type, file.content) == ("text/calendar", ICS)


@pytest.mark.parametrize(
    ("type_", "content", "charset"),
    [
        ("text/csv", b"a,b\n", "utf-8"),
        ("text/csv", "ü\n".encode(), "utf-8"),
        ("text/csv", "ü\n".encode("latin-1"), None),
        ("text/csv", "ü\n".encode("utf-16"), "utf-16"),
        ("text/csv", "ü".encode()[:1], None),
        ("text/csv", b"x" * (2**16 - 1) + "ü".encode(), "utf-8"),
        ("text/csv; charset=windows-1252", "ü\n".encode(), "windows-1252"),
        ("text/plain; format=flowed", b"x", "utf-8"),
        ("application/json", "ü".encode(), None),
    ],
)
def test_a_text_file_arrives_unchanged_and_says_its_charset(type_: str, content: bytes, charset: str | None) -> None:
    """Django 11, Flask-Mail: without one, readers take it for their own."""
    message = read(build(mail(attachments=(File("a.csv", type_, content),)), SENDER, "id@example.com", AT))
    [part] = [part for part in message.walk() if part.get_content_disposition() == "attachment"]
    assert part.get_content_charset() == charset
    assert part.get_payload(decode=True) == content


@pytest.mark.parametrize(
    "type_",
    ["", "pdf", "multipart/mixed", "multipart/mixed; boundary=x", "message/partial", "message/external-body",
     "application/pdf\r\nBcc: x@y.z", "application/pdf; a=b\r\n c", "text/plain; charset=ü", "a/b; c", "a b/c",
     'a/b; c="d', "a/b;\n c=d",
     'a/b; c="=?utf-8?q?=0d=0aBcc:_x?="'],
)  # fmt: skip
def test_a_type_that_no_file_has_is_never_written(type_: str) -> None:
    with pytest.raises(Unsendable) as caught:
        built(mail(attachments=(File("a", type_, b"x"),)))
    assert caught.value.reason == "unbuildable"


@pytest.mark.parametrize(
    "cid", ["a b", "a>b", "<a>", "a\r\nBcc: x@y.z", "ü", "a\0", "x" * 901, "\ud800", "=?utf-8?q?=0d=0a?="]
)
def test_a_cid_that_no_content_id_may_hold_is_never_written(cid: str) -> None:
    with pytest.raises(Unsendable) as caught:
        built(mail(None, HTML, inline=(File("a.png", "image/png", b"x", cid=cid),)))
    assert caught.value.reason == "unbuildable"


@pytest.mark.parametrize("cid", ["logo", "logo@example.com", "logo.png", "ii_k3x%2B", "x" * 900])
def test_an_image_has_the_content_id_by_which_the_html_shows_it(cid: str) -> None:
    """As it stands in the HTML (symfony 63677, 42921: where one of the two was changed), with an @ or without, as Notes
    writes it (nextcloud/mail 12925)."""
    logo = File("logo.png", "image/png", b"x", cid=cid)
    message = read(build(mail(None, b"<img src=cid:%b>" % cid.encode(), inline=(logo,)), SENDER, "i@b.c", AT))
    [file] = files(message)
    assert (file.cid, file.disposition, file.name) == (cid, "inline", "logo.png")
    assert message.get_param("type") == "text/html"  # RFC 2387, 3.1


# The envelope, and who is shown to whom


def test_who_gets_a_blind_copy_is_in_no_header() -> None:
    email = mail(cc=(Mailbox("cc@b.c", b"C"),), bcc=(Mailbox("secret@b.c", b"Secret"),))
    envelope = build(email, SENDER, "id@example.com", AT)
    assert envelope.recipients == ("to@example.com", "cc@b.c", "secret@b.c")
    assert b"ecret" not in envelope.data
    assert read(envelope)["cc"] == "C <cc@b.c>"


def test_a_mail_to_hidden_recipients_alone_says_so() -> None:
    envelope = build(Email((), b"s", b"b", bcc=(Mailbox("a@b.c"),)), SENDER, "id@example.com", AT)
    assert envelope.recipients == ("a@b.c",)
    assert b"\r\nTo: undisclosed-recipients:;\r\n" in envelope.data
    assert not read(envelope)["to"].addresses


def test_a_mail_to_copies_alone_has_no_to() -> None:
    message = read(build(Email((), b"s", b"b", cc=(Mailbox("a@b.c"),)), SENDER, "id@example.com", AT))
    assert (message["to"], message["cc"]) == (None, "a@b.c")


@pytest.mark.parametrize(("cc", "shown_cc"), [(("to@example.com",), None), (("to@example.com", "d@b.c"), "d@b.c")])
def test_who_is_in_two_fields_is_shown_in_the_first_and_gets_one_mail(cc: tuple[str, ...], shown_cc: str) -> None:
    everybody = tuple(Mailbox(address) for address in cc)
    envelope = build(mail(cc=everybody, bcc=everybody), SENDER, "id@example.com", AT)
    assert envelope.recipients == tuple(dict.fromkeys(("to@example.com", *cc)))
    assert read(envelope)["cc"] == shown_cc


def test_a_mail_may_have_an_author_of_its_own_and_several_to_answer_to() -> None:
    email = mail(sender=Mailbox("own@b.c", "Öwn".encode()), reply_to=(Mailbox("r@b.c", b"R, S"), Mailbox("t@b.c")))
    envelope = build(email, SENDER, "id@example.com", AT)
    message = read(envelope)
    assert (envelope.sender, message["from"].addresses[0].addr_spec) == ("own@b.c", "own@b.c")
    assert [(box.display_name, box.addr_spec) for box in message["reply-to"].addresses] == [
        ("R, S", "r@b.c"),
        ("", "t@b.c"),
    ]


@pytest.mark.parametrize("return_path", ["bounce@b.c", ""])
def test_what_comes_back_goes_where_the_mail_says(return_path: str) -> None:
    envelope = build(mail(return_path=return_path, dsn=Dsn(("NEVER",))), SENDER, "id@example.com", AT)
    assert (envelope.sender, envelope.dsn) == (return_path, Dsn(("NEVER",)))
    assert b"eturn-" not in envelope.data


@pytest.mark.parametrize(
    "email",
    [
        mail(cc=(Mailbox("ü@b.c"),)),
        mail(bcc=(Mailbox("ü@b.c"),)),
        mail(reply_to=(Mailbox("ü@b.c"),)),
        mail(sender=Mailbox("ü@b.c")),
        mail(return_path="ü@b.c"),
        mail(html=HTML, reply_to=(Mailbox("ü@b.c"),)),
    ],
)
def test_any_address_outside_ascii_needs_smtputf8(email: Email) -> None:
    """RFC 6531, 3.4: one that only a header shows as well."""
    assert build(email, SENDER, "id@example.com", AT).smtputf8
    assert not build(mail("ü".encode(), "ü".encode()), SENDER, "id@example.com", AT).smtputf8


def test_a_large_file_is_held_less_than_two_times_more() -> None:
    """Beside the file itself: three times the mail are a child's bar, sending included."""
    content = bytes(range(256)) * 4 * 4096
    email = mail(html=HTML, attachments=(File("a.bin", "application/octet-stream", content),))
    tracemalloc.start()
    try:
        data = built(email)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1.3 * len(data)
