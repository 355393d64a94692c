"""Keys for the tests, and who else knows DKIM: dkimpy, and Debian's OpenDKIM."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from email import message_from_bytes
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mailworker.mail.signing.dkim import Signers
from mailworker.mail.signing.dkim_keys import sources

OPENDKIM = shutil.which("opendkim", path=os.environ.get("PATH", "") + ":/usr/sbin")
ALGORITHMS = ("rsa-sha256", "ed25519-sha256")


@cache
def rsa_key(bits: int = 2048) -> RSAPrivateKey:
    return generate_private_key(65537, bits)


@cache
def ed25519_key() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.generate()


def pem(key: RSAPrivateKey | Ed25519PrivateKey, form: PrivateFormat = PrivateFormat.PKCS8) -> bytes:
    return key.private_bytes(Encoding.PEM, form, NoEncryption())


def write(path: Path, octets: bytes) -> Path:
    path.write_bytes(octets)
    path.chmod(0o600)
    return path


@cache
def signers(*domains: str, algorithms: tuple[str, ...] = ALGORITHMS, required: bool = False) -> Signers:
    """With a key of each algorithm for each domain: selectors `rsa` and `ed25519`. Their files are gone already."""
    with TemporaryDirectory() as name:
        made = Signers(sources(setting(Path(name), *domains, algorithms=algorithms)), required)
        made.read()
    return made


def setting(folder: Path, *domains: str, algorithms: Iterable[str] = ALGORITHMS) -> str:
    """MAILWORKER_DKIM_KEYS for such keys, whose files are in the folder."""
    files = {
        "rsa-sha256": write(folder / "rsa.pem", pem(rsa_key())),
        "ed25519-sha256": write(folder / "ed25519.pem", pem(ed25519_key())),
    }
    return ",".join(f"{domain}:{name.partition('-')[0]}:{files[name]}" for domain in domains for name in algorithms)


def records(these: Signers) -> dict[str, str]:
    """The TXT records with their names."""
    return {key.source.name: key.record for keys in these.keys.values() for key in keys}


def signatures(message: bytes) -> list[str]:
    """The values of its DKIM-Signature headers, from the first on."""
    return [str(value) for value in message_from_bytes(message).get_all("DKIM-Signature", [])]


def dkimpy(message: bytes, known: Mapping[str, str]) -> list[bool]:
    """Whether each of its signatures verifies. Raises where one cannot even be read."""
    import dkim

    def txt(name: bytes, **_: object) -> bytes | None:
        record = known.get(name.decode("ascii").rstrip("."))
        return record.encode("ascii") if record else None

    def verifies(index: int) -> bool:
        try:
            return bool(dkim.DKIM(message).verify(index, dnsfunc=txt))
        except (dkim.ValidationError, dkim.KeyFormatError):  # what it says of another body, and where there is no key
            return False

    return [verifies(index) for index in range(len(signatures(message)))]


def opendkim(folder: Path, known: Mapping[str, str], message: bytes) -> bool:
    """Whether OpenDKIM says that its first signature that it knows verifies."""
    if not OPENDKIM:
        if os.environ.get("CI"):
            pytest.fail("opendkim is not installed, and CI must have it")
        pytest.skip("opendkim is not installed")
    (folder / "dns").write_text("".join(f"{name} {record}\n" for name, record in known.items()))
    (folder / "opendkim.conf").write_text(f"TestDNSData file:{folder / 'dns'}\nTemporaryDirectory {folder}\n")
    (folder / "mail.eml").write_bytes(message)
    command = (OPENDKIM, "-x", folder / "opendkim.conf", "-v", "-t", folder / "mail.eml")
    done = subprocess.run(command, capture_output=True, timeout=30, check=False)
    said = done.stdout + done.stderr
    assert b"verification (s=" in said, said.decode(errors="replace")
    return b"succeeded" in said
