"""What a worker says when it starts: what it drains, through which relay, as whom. Once, not by each child."""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Iterator
from importlib.metadata import version

from ..mail.author import Author
from ..settings import Settings
from ..smtp.relay import Relay, Security
from ..smtp.tls import unusual

logger = logging.getLogger(__name__)


def introduce(settings: Settings, hands: str) -> None:
    """Logs the line and what looks forgotten. `hands` says how many mails go at once, as `5 pool children`."""
    # Celery's default level is WARNING: an operator who asked for no more sees the line all the same.
    logger.log(
        logging.INFO if logger.isEnabledFor(logging.INFO) else logging.WARNING, "%s", introduction(settings, hands)
    )
    for warning in warnings(settings):
        logger.warning("%s", warning)


def introduction(settings: Settings, hands: str) -> str:
    """One line, without a password."""
    sender = settings.author.mailbox
    who = f"{sender.name.decode('utf-8')} <{sender.address}>" if sender.name else sender.address
    return (
        f"mailworker {version('mailworker')} drains {', '.join(settings.legacy_queues)} and new code's mail "
        f"from {masked(settings.redis_url.get_secret_value())} (keys {settings.spool_prefix}*) through "
        f"{' and '.join(map(_shown, settings.relays))} as {who}, {_signing(settings)}with {hands}"
    )


def _signing(settings: Settings) -> str:
    domains = dict.fromkeys(source.domain for source in settings.dkim_keys)
    return f"signing for {', '.join(domains)}, " if domains else ""


def _shown(relay: Relay) -> str:
    login = f" with the login of {relay.user}" if relay.user else ""
    return f"{relay.security.value}://{relay.place}{login}"


def warnings(settings: Settings) -> list[str]:
    """What an operator most likely forgot, each with the setting that mends it."""
    found = []
    if "smtp_url" not in settings.model_fields_set:
        found.append(f"MAILWORKER_SMTP_URL is not set: mail goes to {settings.relays[0].place}")
    for relay in settings.relays:
        found += _of_relay(relay)
    if not settings.has_sender:
        found.append(
            f"nobody said who sends, and {settings.author.mailbox.address} is refused by most: set MAILWORKER_FROM"
        )
    found += _of_keys(settings.author)
    return found


def _of_keys(author: Author) -> Iterator[str]:
    if author.signers is None:
        return
    for warning in author.signers.warnings:
        yield f"MAILWORKER_DKIM_KEYS: {warning}"
    if not author.signers.keys_of(author.domain.lower()):
        then = "a dead letter" if author.signers.required else "not signed"
        yield f"MAILWORKER_DKIM_KEYS: no key for {author.domain}: what is sent as {author.mailbox.address} is {then}"


def _of_relay(relay: Relay) -> Iterator[str]:
    if hint := unusual(relay):
        yield f"MAILWORKER_SMTP_URL: {hint}"
    if relay.user and relay.security is Security.CLEAR and not _is_loopback(relay):
        yield (
            f"MAILWORKER_SMTP_URL: smtp:// shows the password to everybody on the way to {relay.place}: "
            "write smtp+starttls:// or smtps://"
        )


def masked(url: str) -> str:
    """The URL without user, password and options: the last @ ends the login, whatever stands in a password."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2].partition('?')[0]}"


def _is_loopback(relay: Relay) -> bool:
    if relay.host == "localhost" or relay.host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(relay.host).is_loopback
    except ValueError:
        return False
