"""What to write in the URL where TLS and the port do not fit."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailworker.smtp.relay import Relay, Security
from mailworker.smtp.tls import ca_file, other, unusual


@pytest.mark.parametrize(
    ("relay", "scheme", "url"),
    [
        (Relay("relay", 25), "smtps", "smtps://relay:25"),
        (Relay("relay", 465, Security.TLS, "user", "s3cret"), "smtp+starttls", "smtp+starttls://relay:587"),
        (Relay("::1", 2525), "smtps", "smtps://[::1]:2525"),
    ],
)
def test_the_same_relay_with_another_scheme_is_told_without_the_login(relay: Relay, scheme: str, url: str) -> None:
    assert other(relay, scheme) == url


@pytest.mark.parametrize(
    ("port", "security", "scheme"),
    [
        (25, Security.TLS, "smtp+starttls"),
        (587, Security.TLS, "smtp+starttls"),
        (465, Security.CLEAR, "smtps"),
        (465, Security.STARTTLS, "smtps"),
        (465, Security.TLS, ""),
        (587, Security.STARTTLS, ""),
        (2525, Security.TLS, ""),
        (25, Security.CLEAR, ""),
    ],
)
def test_a_port_that_is_mostly_another_schemes_is_told(port: int, security: Security, scheme: str) -> None:
    hint = unusual(Relay("relay", port, security))
    assert bool(hint) == bool(scheme)
    assert f"{scheme}://" in hint or not scheme


def test_a_file_without_a_certificate_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    path.write_text("-----BEGIN PRIVATE KEY-----\n")
    with pytest.raises(ValueError, match="holds no certificate"):
        ca_file(path)
    path.write_text("-----BEGIN CERTIFICATE-----\n")
    assert ca_file(path) == path
    assert ca_file(None) is None
