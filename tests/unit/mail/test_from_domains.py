"""Whose mail a finished message is, by its From header."""

from __future__ import annotations

import time

import pytest

from mailworker.mail.signing.from_domains import LONGEST, from_domains


@pytest.mark.parametrize(
    ("value", "domains"),
    [
        (b" a@example.com", ("example.com",)),
        (b" <a@example.com>", ("example.com",)),
        (b" A <a@Example.COM>", ("example.com",)),
        (b' "A, B" <a@example.com>', ("example.com",)),
        (b' "a@evil.org" <a@example.com>', ("example.com",)),
        (b" a@evil.org <a@example.com>", ("example.com",)),
        (b' "\\"<x@evil.org>" <a@example.com>', ("example.com",)),
        (b" (x@evil.org) a@example.com (y@evil.org (z))", ("example.com",)),
        (b" A\r\n <a@example.com>", ("example.com",)),
        (b" =?utf-8?Q?A=2C_B=40evil=2Eorg?=\r\n\t<a@example.com>", ("example.com",)),
        (b' "a@b"@example.com', ("example.com",)),
        (b' "a b"@example.com', ("example.com",)),
        (b" a @ example.com", ("example.com",)),
        (b" a@example.com, B <b@example.org>, c@example.com", ("example.com", "example.org")),
        (b" Us: a@example.com, b@example.org;", ("example.com", "example.org")),
        (" Ä <ä@münchen.de>".encode(), ("xn--mnchen-3ya.de",)),
        (b" a@xn--mnchen-3ya.de", ("xn--mnchen-3ya.de",)),
        (b" a@mail_1.example.com", ("mail_1.example.com",)),
        (b" a@[192.0.2.1]", ("[192.0.2.1]",)),
    ],
)
def test_the_domains_of_its_authors(value: bytes, domains: tuple[str, ...]) -> None:
    assert from_domains(value) == domains


@pytest.mark.parametrize(
    "value",
    [
        b"", b" ", b" nobody", b" a@", b" @example.com", b" undisclosed-recipients:;", b" a@b@example.com",
        b" a@exa mple.com", b" <a@example.com", b" a@example..com", b" a@\xff.com", b" \"a@example.com",
        b" a@example.com\0", b" x" * LONGEST + b"@example.com",
    ],
)  # fmt: skip
def test_what_cannot_be_read_has_none(value: bytes) -> None:
    assert from_domains(value) == ()


@pytest.mark.parametrize(
    "text", [b'"', b"(", b"<", b"@", b",", b"\\", b"(\\", b'"\\', b"a(", b"a@", b"()", b'""', b"<>"]
)
def test_no_header_takes_long(text: bytes) -> None:
    started = time.process_time()
    from_domains((text * LONGEST)[:LONGEST])
    assert time.process_time() - started < 1
