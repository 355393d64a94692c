"""The keys that a site signs its mail with: as the setting names them, judged, and as receivers find them in the DNS.
No octet of a private key is ever part of an error, a warning or a repr.
"""

from __future__ import annotations

import re
import stat
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ...errors import Unsendable
from .. import address
from . import private_keys

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

RSA: Final = "rsa-sha256"
ED25519: Final = "ed25519-sha256"
ALGORITHMS: Final = (RSA, ED25519)
"""In the order in which a mail has their signatures: there are receivers that do not know the second."""

SMALLEST, SMALL, LARGE = 1024, 2048, 4096
"""Bits of RSA: receivers must refuse what is below, they should get so many, and they need not bear more (RFC 8301)."""

_LABEL: Final = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_NAME: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})*", re.IGNORECASE)
_IS_A_KEY: Final = re.compile(r"[A-Za-z0-9+][A-Za-z0-9+/]{39,}={0,2}|[A-Za-z0-9+/]{43}=|[A-Za-z0-9+/]{86}==")
_NOT_A_FILE: Final = "expected the path of a file, and not the key itself"
_LONGEST_NAME: Final = 253


@dataclass(frozen=True, slots=True)
class Source:
    """Where a key is, and for which name in the DNS: `selector._domainkey.domain` (RFC 6376, 3.6.2.1)."""

    domain: str
    selector: str
    file: str

    @property
    def name(self) -> str:
        """Under which receivers look for the public key."""
        return f"{self.selector}._domainkey.{self.domain}"


@dataclass(frozen=True, slots=True, repr=False)
class Key:
    """Ready to sign."""

    source: Source
    algorithm: str
    sign: Callable[[bytes], bytes]
    """The headers' octets become the signature's."""
    public: bytes
    """As it stands in the DNS: of RSA a SubjectPublicKeyInfo, of Ed25519 its 32 octets (RFC 8463, 4.2)."""
    warnings: tuple[str, ...] = ()

    @property
    def record(self) -> str:
        """The text of the TXT record with which receivers verify."""
        kind = self.algorithm.partition("-")[0]
        return f"v=DKIM1; k={kind}; p={b64encode(self.public).decode('ascii')}"


def sources(text: str) -> tuple[Source, ...]:
    """`domain:selector:file,…`. Raises `ValueError` with the problem."""
    if "-----" in text:
        raise ValueError(_NOT_A_FILE)
    found = tuple(_source(item.strip()) for item in text.split(","))
    names: set[str] = set()
    for source in found:
        if source.name.lower() in names:
            raise ValueError(f"{source.domain}:{source.selector} is there twice: each key has a selector of its own")
        names.add(source.name.lower())
    return found


def _source(text: str) -> Source:
    parts = text.split(":", 2)
    if len(parts) != 3 or not all(part.strip() for part in parts):
        raise ValueError(
            "expected domain:selector:file with commas between several, as example.com:s1:/run/secrets/dkim.pem"
        )
    domain, selector, file = (part.strip() for part in parts)
    if _IS_A_KEY.fullmatch(file):
        raise ValueError(_NOT_A_FILE)
    source = Source(_domain(domain), selector, file)
    if not _NAME.fullmatch(selector):
        raise ValueError(f"{selector}: a selector has letters of ASCII, digits, hyphens and dots only")
    if len(source.name) > _LONGEST_NAME:
        raise ValueError(f"{domain}:{selector}: longer than a name in the DNS")
    return source


def _domain(text: str) -> str:
    try:
        domain = address.check("x@" + text, "domain").rpartition("@")[2].lower()
    except Unsendable:
        domain = ""
    if not _NAME.fullmatch(domain) or domain.replace(".", "").isdecimal():
        raise ValueError(f"{text}: not a domain, as example.com")
    return domain


def read(source: Source) -> Key:
    """Raises `ValueError` with the problem, `ImportError` where there is no `cryptography`."""
    return _of(private_keys.read(Path(source.file)), source)


def _of(private: PrivateKeyTypes, source: Source) -> Key:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415 - an extra
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey  # noqa: PLC0415

    told = tuple(_warnings(private, source))
    if isinstance(private, RSAPrivateKey):
        if private.key_size < SMALLEST:
            raise ValueError(f"an RSA key of {private.key_size} bits, which receivers refuse: make one of {SMALL}")
        return Key(source, RSA, _rsa_signer(private), _rsa_public(private), told)
    if isinstance(private, Ed25519PrivateKey):
        return Key(source, ED25519, _ed25519_signer(private), private.public_key().public_bytes_raw(), told)
    raise ValueError(private_keys.NO_DKIM)


def _rsa_signer(private: RSAPrivateKey) -> Callable[[bytes], bytes]:
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15  # noqa: PLC0415 - an extra
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415

    padding, algorithm = PKCS1v15(), SHA256()
    return lambda octets: private.sign(octets, padding, algorithm)


def _ed25519_signer(private: Ed25519PrivateKey) -> Callable[[bytes], bytes]:
    """It signs their SHA-256 (RFC 8463, 3)."""
    return lambda octets: private.sign(sha256(octets).digest())


def _rsa_public(private: RSAPrivateKey) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat  # noqa: PLC0415 - an extra

    return private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _warnings(private: PrivateKeyTypes, source: Source) -> Iterator[str]:
    bits = getattr(private, "key_size", SMALL)
    if bits < SMALL:
        yield f"{source.file}: an RSA key of {bits} bits is weak: make one of {SMALL}"
    if bits > LARGE:
        yield f"{source.file}: receivers need not bear an RSA key of {bits} bits: make one of {SMALL}"
    if Path(source.file).stat().st_mode & stat.S_IROTH:
        yield f"{source.file}: everybody on this machine may read it: chmod 600"
    if "." not in source.domain:
        yield f"{source.domain}: only mail from …@{source.domain} itself is signed, as nobody has a top-level domain"
