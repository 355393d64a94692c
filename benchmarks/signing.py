"""`python -m benchmarks.signing`: milliseconds for the DKIM signature of a mail, beside the raw one and dkimpy."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import dkim
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mailworker.mail.signing.dkim import Signers
from mailworker.mail.signing.dkim_keys import sources

HEAD: Final = (
    b"Subject: Your order is on its way\r\nFrom: The Shop <shop@example.com>\r\nTo: someone@example.org\r\n"
    b"Date: Tue, 14 Nov 2023 22:13:20 +0000\r\nMessage-ID: <1@example.com>\r\nMIME-Version: 1.0\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n\r\n"
)
BODIES: Final = {
    "1 KB": b"A line of text that is long enough.\r\n" * 28,
    "50 KB": b"<td>A line of HTML in which nothing is to be relaxed, as quoted-printable.</td>\r\n" * 620,
    "50 KB, blanks": b"  <td>A line  of HTML\tin which much is to be   relaxed, as it is.</td> \r\n" * 640,
    "5 MiB of base64": (b"QUJD" * 19 + b"\r\n") * 67_000,
}


def main() -> None:
    private = rsa.generate_private_key(65537, 2048)
    keys = {"rsa-2048": private, "ed25519": ed25519.Ed25519PrivateKey.generate()}
    pkcs1 = private.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    ours = {}
    with TemporaryDirectory() as folder:
        for name, key in keys.items():
            path = Path(folder) / name
            path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
            ours[name] = Signers(sources(f"example.com:s:{path}"))
            ours[name].read()
    print("| body | SHA-256 of it | rsa-2048 | ed25519 | dkimpy, rsa-2048 |")
    print("| --- | ---: | ---: | ---: | ---: |")
    raw = [_ms(lambda key=made.keys["example.com"][0]: key.sign(HEAD)) for made in ours.values()]  # type: ignore[misc]
    print(f"| the raw signature | | {raw[0]:.3f} | {raw[1]:.3f} | |")
    for name, body in BODIES.items():
        mail = HEAD + body
        own = [_ms(lambda made=made: made.sign(mail, 1)) for made in ours.values()]  # type: ignore[misc] # noqa: B023
        peer = _ms(lambda: dkim.sign(mail, b"s", b"example.com", pkcs1, canonicalize=(b"relaxed", b"relaxed")))  # noqa: B023
        digest = _ms(lambda: hashlib.sha256(mail))  # noqa: B023
        print(f"| {name} | {digest:.3f} | {own[0]:.3f} | {own[1]:.3f} | {peer:.1f} |")


def _ms(work: Callable[[], object], seconds: float = 0.6) -> float:
    """The quickest of many."""
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        started = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - started)
    return best * 1000


if __name__ == "__main__":
    main()
