"""What a call leaves to be made of the rest: a template's texts, the text of an HTML; and whether its parts fit."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from html import unescape
from typing import Any, Final
from urllib.parse import unquote

from ..errors import Unsendable
from .email import Email, Limits

_TAG: Final = re.compile(r"<[a-zA-Z][^<>]*>")
_IN_TAG: Final = re.compile(
    r"""[\s"'/](?:[a-z]+:)?(?:src|srcset|background|href|poster|data)\s*+=\s*+"""
    r"""(?:"\s*+cid:([^"\s]+)|'\s*+cid:([^'\s]+)|cid:([^"'\s>]+))""",
    re.IGNORECASE,
)
_IN_STYLE: Final = re.compile(
    r"""url\(\s*+(?:["']|&quot;|&#0*+3[49];|&#x2[27];|&apos;)?+\s*+cid:([^"'()\s<>]+)""", re.IGNORECASE
)
"""Where HTML shows an image by its cid: in an attribute, or in a style, which may be an attribute itself. Elsewhere,
as in a text about it or in the query of a link, it is a word."""
_CID: Final = re.compile(r"cid:([^\"'()\s<>,;]+)", re.IGNORECASE)
_ENDLESS: Final = re.compile(r"&#[0-9]{1000,}+")
_LONGEST_SHOWN: Final = 50
_KEPT: Final = 256 * 1024
"""Octets of an HTML whose text is remembered."""


def rendered(passed: Mapping[str, Any], limits: Limits) -> dict[str, Any]:
    """The arguments, with a template's texts in them. What the caller passed beside it counts. Raises `TypeError`,
    `Unsendable`."""
    if "template" not in passed:
        if "context" in passed:
            raise TypeError("context: is for a template; pass template=… as well, or leave it out")
        return dict(passed)
    if "html" in passed:
        raise TypeError("html: the template has it; leave out one of html and template")
    from .templating.templates import render  # noqa: PLC0415 - costs a start what few mails need

    texts = render(passed["template"], passed.get("context"), limits.templates)
    if texts.subject is None and "subject" not in passed:
        raise TypeError(f"subject: there is no {passed['template']}.subject; write that file, or pass subject=…")
    made = {"subject": texts.subject, "body": texts.text, "html": texts.html}
    return {**{name: text for name, text in made.items() if text is not None}, **passed}


def finished(email: Email, has_body: bool) -> Email:
    """A text is made of the HTML where none was passed; an empty one beside HTML is none. Nobody has two copies.

    Raises `Unsendable` where the HTML and the images do not fit.
    """
    email = replace(email, **_once(email)) if email.cc or email.bcc else email
    if email.inline or (email.html and b"cid:" in email.html.lower()):
        _check_images(email)
    if not email.html:
        return replace(email, body=email.body or b"", html=None)
    if has_body:
        return email if email.body else replace(email, body=None)
    read = _text_of if len(email.html) <= _KEPT else _text_of.__wrapped__
    return replace(email, body=read(email.html) or None)


@lru_cache(maxsize=2)
def _text_of(html: bytes) -> bytes:
    """The same HTML often goes to many people."""
    from .templating.text_of_html import text_of  # noqa: PLC0415 - costs a start what few mails need

    return text_of(html.decode("utf-8", "replace")).encode("utf-8")


def _once(email: Email) -> dict[str, Any]:
    """An address is shown where it stands first: in To, in Cc, and else nowhere."""
    seen = {mailbox.address for mailbox in email.to}
    cc = tuple([mailbox for mailbox in email.cc if mailbox.address not in seen])
    seen |= {mailbox.address for mailbox in cc}
    return {"cc": cc, "bcc": tuple([mailbox for mailbox in email.bcc if mailbox.address not in seen])}


def _check_images(email: Email) -> None:
    text = (email.html or b"").decode("utf-8", "replace")
    cids = {file.cid for file in email.inline}
    shown = set(_shown(text))
    if unknown := sorted(shown - cids):
        raise Unsendable("bad_field", f"html: cid:{ascii(unknown[0])[1:-1]:.{_LONGEST_SHOWN}} is not in inline")
    mentioned = shown | set(map(unquote, _CID.findall(_unescaped(text))))
    if unused := [file.cid for file in email.inline if file.cid not in mentioned]:
        raise Unsendable("bad_field", f"inline: cid {unused[0]:.{_LONGEST_SHOWN}} is not used in html; use attachments")


def _shown(html: str) -> Iterator[str]:
    """The cids as they stand in `inline`: a URL in HTML is written with references and with %."""
    for cid in _IN_STYLE.findall(html):  # the quote that closes it may be written as a reference as well
        yield unquote(re.split("[\"']", _unescaped(cid), maxsplit=1)[0])
    for tag in _TAG.findall(html):
        if "cid:" in tag.lower():
            for found in _IN_TAG.findall(tag):
                yield unquote(_unescaped("".join(found).rstrip(",")))


def _unescaped(text: str) -> str:
    """With what HTML's references stand for. `unescape` raises ValueError of a number with 4,300 digits and more; no
    character has one of a thousand."""
    return unescape(_ENDLESS.sub("", text))
