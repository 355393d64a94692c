"""A private key as a file holds it: PEM, DER, or the base64 in which tools write keys of Ed25519. No octet of it is
ever part of an error.
"""

from __future__ import annotations

import re
import stat
from base64 import b64decode
from binascii import Error as Base64Error
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

NO_DKIM: Final = "holds another kind of key: DKIM knows RSA and Ed25519"

_LONGEST: Final = 64 * 1024
_BLOCK: Final = re.compile(rb"-----BEGIN ([A-Z0-9 ]*)PRIVATE KEY-----.*?-----END \1PRIVATE KEY-----", re.DOTALL)
_OTHER_BLOCK: Final = re.compile(rb"-----BEGIN [A-Z0-9 ]*(PUBLIC KEY|CERTIFICATE)-----")


class _Told(ValueError):
    """With a text of ours."""


def read(path: Path) -> PrivateKeyTypes:
    """Raises `ValueError` with the problem, `ImportError` where there is no `cryptography`."""
    try:
        return _private(_octets(path))
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from None


def _octets(path: Path) -> bytes:
    """Of a file that ends: a pipe that nobody writes to would hold up the start."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise ValueError("is not a file")
    with path.open("rb") as file:
        octets = file.read(_LONGEST)
    if not octets.strip():
        raise ValueError("is empty")
    return octets


def _private(octets: bytes) -> PrivateKeyTypes:
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415 - an extra
    from cryptography.hazmat.primitives.serialization import load_der_private_key, load_pem_private_key  # noqa: PLC0415

    try:
        if b"-----BEGIN" in octets:
            return load_pem_private_key(_block(octets), password=None)
        octets = octets if octets.startswith(b"\x30") else _from_base64(octets)
        return _ed25519(octets) if len(octets) in {32, 64} else load_der_private_key(octets, password=None)
    except TypeError:  # what it raises where it wants a password
        raise ValueError("is encrypted: write it without a password, as openssl pkey -in … -out … does") from None
    except UnsupportedAlgorithm:
        raise ValueError(NO_DKIM) from None
    except _Told:
        raise
    except ValueError:
        raise ValueError("holds a private key that is damaged, or none") from None


def _block(octets: bytes) -> bytes:
    """The private key of a file in PEM."""
    blocks = list(_BLOCK.finditer(octets))
    if not blocks:
        other = _OTHER_BLOCK.search(octets)
        what = f"a {other[1].decode('ascii').lower()}, and the private key is needed" if other else "no private key"
        raise _Told(f"holds {what}")
    if len(blocks) > 1:
        raise _Told(f"holds {len(blocks)} private keys: write each into a file of its own")
    if blocks[0][1] == b"OPENSSH ":
        raise _Told("is in OpenSSH's own form: make the key with openssl genpkey")
    return blocks[0][0]


def _from_base64(octets: bytes) -> bytes:
    """As dkimpy and rspamd write keys of Ed25519, and as DER goes through an environment."""
    try:
        return b64decode(b"".join(octets.split()), validate=True)
    except Base64Error:
        raise _Told("holds no private key in PEM, DER or base64") from None


def _ed25519(octets: bytes) -> Ed25519PrivateKey:
    """Its seed, or the seed and the public key."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415 - an extra

    key = Ed25519PrivateKey.from_private_bytes(octets[:32])
    if octets[32:] not in {b"", key.public_key().public_bytes_raw()}:
        raise _Told("holds 64 octets that are no key of Ed25519")
    return key
