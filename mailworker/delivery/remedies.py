"""Pure: which setting to look at after an error of the relay."""

from __future__ import annotations

from typing import Final

_REMEDIES: Final = {
    "AUTH": "the user and password in MAILWORKER_SMTP_URL",
    "STARTTLS": "the scheme of MAILWORKER_SMTP_URL (smtp://, smtp+starttls:// or smtps://)",
    "TLS": "MAILWORKER_SMTP_CA_FILE, or the host, port and scheme in MAILWORKER_SMTP_URL",
    "MAIL": "MAILWORKER_FROM, or the user and password in MAILWORKER_SMTP_URL",
    "message": "MAILWORKER_FROM, or the user and password in MAILWORKER_SMTP_URL",
    "DATA": "MAILWORKER_FROM, or the user and password in MAILWORKER_SMTP_URL",
    "RCPT": "the user and password in MAILWORKER_SMTP_URL: the relay does not send on for us",
    "EHLO": "MAILWORKER_SMTP_HELO",
    "HELO": "MAILWORKER_SMTP_HELO",
    "connect": "the host and port in MAILWORKER_SMTP_URL",
    "greeting": "the host, port and scheme in MAILWORKER_SMTP_URL",
}


def remedy(error: str) -> str:
    """The setting to look at after this error of the relay: it begins with the step of the session."""
    step = error.partition(":")[0]
    if "starttls" in error.lower():  # 530 Must issue a STARTTLS command first, to whatever was said
        step = "STARTTLS"
    return _REMEDIES.get(step, "MAILWORKER_SMTP_URL")
