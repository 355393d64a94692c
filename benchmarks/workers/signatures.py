"""Signs, and nothing else: `python -m benchmarks.workers.signatures KEY SECONDS` prints signatures a second."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

HEADERS = b"from:The Shop <shop@example.com>\r\nsubject:Your order\r\n" * 8


def signer(path: Path) -> Callable[[], bytes]:
    key = load_pem_private_key(path.read_bytes(), None)
    if isinstance(key, RSAPrivateKey):
        return lambda: key.sign(HEADERS, PKCS1v15(), SHA256())
    assert isinstance(key, Ed25519PrivateKey)
    return lambda: key.sign(HEADERS)


def main(path: Path, seconds: float) -> None:
    sign = signer(path)
    sign()
    count, begun = 0, time.perf_counter()
    while time.perf_counter() - begun < seconds:
        sign()
        count += 1
    print(count / (time.perf_counter() - begun))


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]))
