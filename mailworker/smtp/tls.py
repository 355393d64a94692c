"""TLS to the relay: always verified, and when it fails, why, and what to write instead."""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from functools import cache
from pathlib import Path
from typing import Any, Final

from ..errors import SmtpError
from .dial import dial
from .relay import Relay, Security

CLEAR_TEXT: Final = {"WRONG_VERSION_NUMBER", "UNKNOWN_PROTOCOL", "PACKET_LENGTH_TOO_LONG", "HTTP_REQUEST"}
OLD: Final = {"UNSUPPORTED_PROTOCOL", "TLSV1_ALERT_PROTOCOL_VERSION", "NO_PROTOCOLS_AVAILABLE", "VERSION_TOO_LOW"}
_CLEAR: Final = CLEAR_TEXT | {"RECORD_LAYER_FAILURE", "BAD_RECORD_TYPE", "UNEXPECTED_MESSAGE"}
_BROKEN: Final = {"UNEXPECTED_EOF_WHILE_READING", "TLSV1_ALERT_INTERNAL_ERROR", "UNEXPECTED_EOF"}
_HOST_MISMATCH: Final = (62, 64)
"""X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH."""
_UNKNOWN_CA: Final = (2, 18, 19, 20, 21)
_DATES: Final = (9, 10)
_PEM: Final = b"-----BEGIN "

_WHY: Final = {
    **dict.fromkeys(OLD, "it speaks only TLS below 1.2, which is broken: it has to be updated"),
    **dict.fromkeys(
        ("SSLV3_ALERT_HANDSHAKE_FAILURE", "NO_SHARED_CIPHER", "TLSV1_ALERT_INSUFFICIENT_SECURITY"),
        "it has no cipher in common with this machine, or wants a client certificate, and there is no setting for one",
    ),
    **dict.fromkeys(
        ("DH_KEY_TOO_SMALL", "BAD_DH_VALUE", "EE_KEY_TOO_SMALL", "CA_KEY_TOO_SMALL", "CA_MD_TOO_WEAK"),
        "its key is too weak for this machine's OpenSSL: it has to be renewed",
    ),
    **dict.fromkeys(
        ("TLSV13_ALERT_CERTIFICATE_REQUIRED", "SSLV3_ALERT_BAD_CERTIFICATE", "PEER_DID_NOT_RETURN_A_CERTIFICATE"),
        "it wants a client certificate, and there is no setting for one",
    ),
    "TLSV1_UNRECOGNIZED_NAME": "it does not know the host name in MAILWORKER_SMTP_URL",
}  # fmt: skip


def ca_file(path: Path | None) -> Path | None:
    """The path of a file with certificates, as it is set. Raises `ValueError` where it is none."""
    if path is None:
        return None
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ValueError(f"the file cannot be read: {error.strerror}") from None
    if not any(_PEM + kind in content for kind in (b"CERTIFICATE-----", b"TRUSTED CERTIFICATE-----")):
        raise ValueError("the file holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)")
    return path


@cache
def _context(ca_file: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def secure(sock: socket.socket, relay: Relay) -> ssl.SSLSocket:
    """The socket inside TLS. Raises `SmtpError`; `configuration` is true unless it may be better the next time."""
    try:
        context = _context(relay.ca_file)
    except (OSError, ssl.SSLError) as error:
        text = f"the CA file cannot be read: {error.strerror}: mend MAILWORKER_SMTP_CA_FILE"
        raise SmtpError("TLS", 0, text, configuration=True) from error
    sock.settimeout(relay.deadlines.reply)
    try:
        return context.wrap_socket(sock, server_hostname=relay.host)
    except ssl.SSLCertVerificationError as error:
        raise SmtpError("TLS", 0, _bad_certificate(error, relay), configuration=True) from error
    except TimeoutError:
        raise SmtpError("TLS", 0, f"no hand-shake in time{_hint(relay)}") from None
    except ssl.SSLError as error:
        raise _hand_shake_failed(error, relay) from error
    except OSError as error:
        text = f"the relay closed the connection ({type(error).__name__}){_hint(relay)}"
        raise SmtpError("TLS", 0, text) from error
    except ValueError as error:  # a host that is no name: an address with a zone, say
        raise SmtpError("TLS", 0, f"no certificate can have the name {relay.host}", configuration=True) from error


def _hand_shake_failed(error: ssl.SSLError, relay: Relay) -> SmtpError:
    reason = (error.reason or "").upper().replace(" ", "_")
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError) or reason in _BROKEN:
        return SmtpError("TLS", 0, f"the relay closed the connection within the hand-shake{_hint(relay)}")
    if reason in _CLEAR and relay.security is Security.TLS:
        text = (
            f"the relay does not speak TLS on port {relay.port} from the start: write {other(relay, 'smtp+starttls')}"
        )
        return SmtpError("TLS", 0, f"{text} in MAILWORKER_SMTP_URL", configuration=True)
    why = _WHY.get(reason) or reason.lower().replace("_", " ") or type(error).__name__
    return SmtpError("TLS", 0, f"hand-shake failed: {why}", configuration=True)


def refused_later(error: ssl.SSLError, relay: Relay) -> SmtpError | None:
    """With TLS 1.3 the relay refuses a client after the hand-shake, when the client already speaks."""
    found = _hand_shake_failed(error, relay)
    return found if found.configuration else None


def other(relay: Relay, scheme: str) -> str:
    """The same relay as a URL with another scheme, without the login."""
    host = f"[{relay.host}]" if ":" in relay.host else relay.host
    port = relay.port
    if scheme == "smtp+starttls" and port == 465:
        port = 587
    return f"{scheme}://{host}:{port}"


def unusual(relay: Relay) -> str:
    """What to write where the port is mostly another scheme's, or ''. A site may have it otherwise."""
    if relay.security is Security.TLS and relay.port in (25, 587):
        return f"port {relay.port} mostly begins in clear text: where it does, write {other(relay, 'smtp+starttls')}"
    if relay.security is not Security.TLS and relay.port == 465:
        return f"port 465 mostly speaks TLS from the start: where it does, write {other(relay, 'smtps')}"
    return ""


def _hint(relay: Relay) -> str:
    return f"; {found} in MAILWORKER_SMTP_URL" if (found := unusual(relay)) else ""


def _bad_certificate(error: ssl.SSLCertVerificationError, relay: Relay) -> str:
    text = f"bad certificate: {error.verify_message}"
    if error.verify_code in _HOST_MISMATCH:
        return f"{text}: write a host that it is for in MAILWORKER_SMTP_URL"
    if error.verify_code in _UNKNOWN_CA:
        return f"{text}: name the file of the CA that signed it in MAILWORKER_SMTP_CA_FILE"
    if error.verify_code in _DATES:
        return f"{text}: the relay needs a new one, or this machine's clock is wrong"
    return text


def names(sock: socket.socket, relay: Relay) -> list[str]:
    """What the relay's certificate is for, on a connection of its own that is used for nothing else. It must be signed
    by who should. Raises `OSError`."""
    context = ssl.create_default_context(cafile=relay.ca_file)
    context.check_hostname = False
    sock.settimeout(relay.deadlines.reply)
    with context.wrap_socket(sock, server_hostname=relay.host) as secured:
        certificate = secured.getpeercert() or {}
    entries: Any = certificate.get("subjectAltName", ())
    return [str(value) for _, value in entries]


def is_tls(relay: Relay, seconds: float) -> bool:
    """True where the relay answers a TLS hand-shake at once: tried on a connection of its own."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # nothing is sent or believed over this connection
    try:
        with contextlib.suppress(ssl.SSLWantReadError):
            context.wrap_bio(incoming, outgoing).do_handshake()
        with dial(relay) as sock:
            sock.settimeout(seconds)
            sock.sendall(outgoing.read())
            deadline = time.monotonic() + seconds
            first = sock.recv(3)
            return len(first) > 1 and first[0] in (0x15, 0x16) and first[1] == 3 and time.monotonic() < deadline
    except (OSError, SmtpError):
        return False
