"""The keys that mail is signed with: as the setting names them, and as their files hold them."""

from __future__ import annotations

import contextlib
import sys
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, x25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailworker.errors import SettingsError
from mailworker.mail.signing import dkim_keys
from mailworker.mail.signing.dkim import Signers
from mailworker.mail.signing.dkim_keys import Source, sources

from ...dkim_peers import ed25519_key, pem, rsa_key, write

HERE = Source("example.com", "s1", "key")
MATERIAL = "kJ3sV9Zx0pQm4tYw7uR2aB8cD1eF6gH5iL0oNnXkSjE="


def read(folder: Path, octets: bytes) -> dkim_keys.Key:
    return dkim_keys.read(Source("example.com", "s1", str(write(folder / "key", octets))))


def der(key: object, form: PrivateFormat = PrivateFormat.PKCS8) -> bytes:
    return key.private_bytes(Encoding.DER, form, NoEncryption())  # type: ignore[attr-defined, no-any-return]


def raw_ed25519() -> bytes:
    return ed25519_key().private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("example.com:s1:/run/dkim.pem", [("example.com", "s1", "/run/dkim.pem")]),
        (" Example.COM : s1 : a b.pem ", [("example.com", "s1", "a b.pem")]),
        ("example.com:s1:a,example.org:s1:a", [("example.com", "s1", "a"), ("example.org", "s1", "a")]),
        ("example.com:s1:a,example.com:s2:b", [("example.com", "s1", "a"), ("example.com", "s2", "b")]),
        ("münchen.de:2026.mail-1:c:d", [("xn--mnchen-3ya.de", "2026.mail-1", "c:d")]),
        ("localhost:s:f", [("localhost", "s", "f")]),
    ],
)
def test_the_setting_names_domain_selector_and_file(text: str, found: list[tuple[str, str, str]]) -> None:
    assert [(source.domain, source.selector, source.file) for source in sources(text)] == found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("example.com", "expected domain:selector:file"),
        ("example.com:s1", "expected domain:selector:file"),
        ("example.com:s1:", "expected domain:selector:file"),
        ("example.com:s1:a,", "expected domain:selector:file"),
        (":s1:a", "expected domain:selector:file"),
        ("exa mple.com:s1:a", "exa mple.com: not a domain"),
        ("a@example.com:s1:a", "a@example.com: not a domain"),
        ("exa_mple.com:s1:a", "exa_mple.com: not a domain"),
        ("-example.com:s1:a", "-example.com: not a domain"),
        ("example.com.:s1:a", "example.com.: not a domain"),
        ("192.0.2.1:s1:a", "192.0.2.1: not a domain"),
        ("[192.0.2.1]:s1:a", "[192.0.2.1]: not a domain"),
        ("*.example.com:s1:a", "*.example.com: not a domain"),
        ("example.com:s_1:a", "s_1: a selector has"),
        ("example.com:s 1:a", "s 1: a selector has"),
        ("example.com:s1..a:a", "s1..a: a selector has"),
        ("example.com:s1;d=evil.org:a", "a selector has"),
        ("example.com:ü:a", "ü: a selector has"),
        (f"example.com:{'a' * 64}:a", "a selector has"),
        (f"example.com:{'a.' * 120}a:a", "longer than a name in the DNS"),
        ("example.com:s1:a,Example.com:S1:b", "example.com:S1 is there twice"),
        (f"example.com:s1:{MATERIAL}", "not the key itself"),
        (f"example.com:s1:-----BEGIN PRIVATE KEY-----{MATERIAL}-----END PRIVATE KEY-----", "not the key itself"),
    ],
)
def test_a_wrong_setting_is_told_without_a_key(text: str, said: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the text is below
        sources(text)
    assert said in str(caught.value)
    assert MATERIAL not in str(caught.value)


@pytest.mark.parametrize(
    ("octets", "algorithm"),
    [
        (lambda: pem(rsa_key()), "rsa-sha256"),
        (lambda: pem(rsa_key(), PrivateFormat.TraditionalOpenSSL), "rsa-sha256"),
        (lambda: pem(rsa_key()).replace(b"\n", b"\r\n"), "rsa-sha256"),
        (lambda: b"\xef\xbb\xbfa comment\n" + pem(rsa_key()) + b"\n\n", "rsa-sha256"),
        (lambda: der(rsa_key()), "rsa-sha256"),
        (lambda: der(rsa_key(), PrivateFormat.TraditionalOpenSSL), "rsa-sha256"),
        (lambda: b64encode(der(rsa_key())), "rsa-sha256"),
        (lambda: pem(ed25519_key()), "ed25519-sha256"),
        (lambda: der(ed25519_key()), "ed25519-sha256"),
        (lambda: b64encode(raw_ed25519()) + b"\n", "ed25519-sha256"),
        (lambda: b64encode(raw_ed25519() + ed25519_key().public_key().public_bytes_raw()), "ed25519-sha256"),
    ],
)
def test_every_form_in_which_tools_write_keys(tmp_path: Path, octets: Callable[[], bytes], algorithm: str) -> None:
    """opendkim-genkey writes PKCS#1 or PKCS#8 by its OpenSSL, dkimpy's dknewkey and rspamd base64 for Ed25519."""
    key = read(tmp_path, octets())
    assert (key.algorithm, key.warnings) == (algorithm, ())
    if algorithm == "rsa-sha256":
        public = rsa_key().public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    else:
        public = ed25519_key().public_key().public_bytes_raw()
    assert key.record == f"v=DKIM1; k={algorithm.partition('-')[0]}; p={b64encode(public).decode()}"


BAD = [
    (lambda: b"", "is empty"),
    (lambda: b" \n", "is empty"),
    (lambda: b"junk", "damaged, or none"),
    (lambda: MATERIAL.encode() + b"!", "holds no private key in PEM, DER or base64"),
    (lambda: b64encode(b"x" * 64), "64 octets that are no key of Ed25519"),
    (lambda: b64encode(b"x" * 40), "damaged, or none"),
    (lambda: b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "damaged, or none"),
    (lambda: pem(rsa_key())[:-40], "holds no private key"),
    (lambda: pem(rsa_key()).replace(b"\nMII", b"\nMIJ"), "damaged, or none"),
    (lambda: pem(rsa_key()) + pem(ed25519_key()), "holds 2 private keys"),
    (lambda: pem(ec.generate_private_key(ec.SECP256R1())), "DKIM knows RSA and Ed25519"),  # type: ignore[arg-type]
    (lambda: pem(ed448.Ed448PrivateKey.generate()), "DKIM knows RSA and Ed25519"),  # type: ignore[arg-type]
    (lambda: pem(x25519.X25519PrivateKey.generate()), "DKIM knows RSA and Ed25519"),  # type: ignore[arg-type]
    (lambda: pem(ed25519_key(), PrivateFormat.OpenSSH), "is in OpenSSH's own form"),
    (
        lambda: rsa_key().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        "holds a public key, and the private key is needed",
    ),
    (
        lambda: rsa_key().public_key().public_bytes(Encoding.PEM, PublicFormat.PKCS1),
        "holds a public key, and the private key is needed",
    ),
    (lambda: b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "holds a certificate"),
    (
        lambda: rsa_key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")),
        "is encrypted",
    ),
    (
        lambda: rsa_key().private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, BestAvailableEncryption(b"x")),
        "is encrypted",
    ),
]


@pytest.mark.parametrize(("octets", "said"), BAD)
def test_a_key_that_does_not_fit_is_told_with_its_file_and_without_its_octets(
    tmp_path: Path, octets: Callable[[], bytes], said: str
) -> None:
    file = write(tmp_path / "dkim.pem", octets())
    with pytest.raises(SettingsError) as caught:
        Signers(sources(f"example.com:s1:{file}")).read()
    text = str(caught.value)
    assert text.startswith(f"MAILWORKER_DKIM_KEYS: {file}: ")
    assert said in text
    assert "\n" not in text
    assert caught.value.__cause__ is None
    assert not any(line in text for line in octets().decode("latin-1").split() if len(line) > 12)


@given(st.sampled_from([True, False]), st.integers(0, 2000), st.binary(min_size=1, max_size=3))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
def test_a_damaged_file_is_a_key_or_a_line(tmp_path: Path, as_text: bool, at: int, octets: bytes) -> None:
    whole = pem(rsa_key()) if as_text else der(rsa_key())
    file = write(tmp_path / "dkim.pem", whole[:at] + octets + whole[at + len(octets) :])
    with contextlib.suppress(SettingsError):
        Signers(sources(f"example.com:s1:{file}")).read()


def test_rsa_below_1024_bits_is_refused(tmp_path: Path) -> None:
    """Receivers must not even look at it (RFC 8301, 3.2). 512 bits of Google's were broken at home in 2012."""
    openssl = (Path(__file__).parents[2] / "data" / "dkim" / "rsa512.pem").read_bytes()
    with pytest.raises(ValueError, match="an RSA key of 512 bits, which receivers refuse: make one of 2048"):
        read(tmp_path, openssl)


def test_what_is_weak_or_open_is_warned_of(tmp_path: Path) -> None:
    file = write(tmp_path / "key", pem(rsa_key(1024)))
    file.chmod(0o644)
    assert dkim_keys.read(Source("intranet", "s1", str(file))).warnings == (
        f"{file}: an RSA key of 1024 bits is weak: make one of 2048",
        f"{file}: everybody on this machine may read it: chmod 600",
        "intranet: only mail from …@intranet itself is signed, as nobody has a top-level domain",
    )


def test_what_is_no_file_is_told_at_once(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "loop").symlink_to("loop")
    for name, said in (
        ("nothing", "cannot be read: No such file or directory"), ("fifo", "is not a file"), (".", "is not a file"),
        ("/dev/zero", "is not a file"), ("loop", "cannot be read: "),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=said):
            dkim_keys.read(Source("example.com", "s1", str(tmp_path / name)))


def test_without_cryptography_one_line_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write(tmp_path / "key", pem(rsa_key()))
    for name in [name for name in sys.modules if name.partition(".")[0] == "cryptography"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "cryptography", None)
    with pytest.raises(SettingsError, match=r"needs the Python package cryptography: pip install 'mailworker\[dkim\]'"):
        Signers(sources(f"example.com:s1:{file}")).read()


def test_no_repr_has_a_key(tmp_path: Path) -> None:
    key = read(tmp_path, b64encode(raw_ed25519()))
    assert b64encode(raw_ed25519()).decode() not in repr(key) + repr(Signers((key.source,)))
