"""The checked-in certificates of the TLS tests (tests/data/tls/make.sh makes them)."""

from __future__ import annotations

import ssl
from pathlib import Path

FOLDER = Path(__file__).parent.parent / "data" / "tls"

CA = str(FOLDER / "ca.pem")


def server_context(name: str) -> ssl.SSLContext:
    """For a server that shows the certificate of this name: good, other-host or expired."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(FOLDER / f"{name}.pem")
    return context
