"""A Redis URL in its parts and with its options, for redis-py and for Celery's broker. Pure, but for certificates.

The options are those that redis-py takes in a URL. Each is checked here, so that a wrong one ends a command with one
line and not a worker's connection for ever.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from ..quantities import did_you_mean
from .sentinel import sentinels

SOCKETS: Final = ("unix", "redis+socket")
_DATABASE: Final = {"db", "virtual_host"}
_LEAST_TIMEOUT: Final = 2.0
"""A worker waits on the list for a second: an answer may take that long."""


def _seconds(value: str) -> float:
    try:
        seconds = float(value)
    except ValueError:
        seconds = -1.0
    if not 0 < seconds <= 3600:
        raise ValueError("must be seconds, above 0 and up to 3600")
    return seconds


def _whole(value: str) -> int:
    if not (value.isascii() and value.isdigit() and len(value) < 10):
        raise ValueError("must be a whole number")
    return int(value)


def _switch(value: str) -> bool:
    known = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}
    if value.lower() not in known:
        raise ValueError("must be true or false")
    return known[value.lower()]


def _verification(value: str) -> str:
    name = value.lower().removeprefix("cert_")
    if name not in ("none", "optional", "required"):
        raise ValueError("must be required, optional or none")
    return name


def _name(value: str) -> str:
    if not value or not value.isascii() or not value.isprintable() or " " in value:
        raise ValueError("must be a word without blanks")
    return value


def _file(value: str) -> str:
    if not Path(value).is_file():
        raise ValueError("there is no such file")
    return value


def _folder(value: str) -> str:
    if not Path(value).is_dir():
        raise ValueError("there is no such folder")
    return value


def _version(value: str) -> ssl.TLSVersion:
    names = {"tlsv1.2": ssl.TLSVersion.TLSv1_2, "tlsv1.3": ssl.TLSVersion.TLSv1_3}
    numbers = {str(int(version)): version for version in names.values()}
    found = (names | numbers).get(value.lower().replace("_", "."))
    if found is None:
        raise ValueError("must be TLSv1.2 or TLSv1.3")
    return found


_TLS: Final[Mapping[str, Callable[[str], Any]]] = {
    "ssl_ca_certs": _file,
    "ssl_ca_path": _folder,
    "ssl_certfile": _file,
    "ssl_keyfile": _file,
    "ssl_password": str,
    "ssl_cert_reqs": _verification,
    "ssl_check_hostname": _switch,
    "ssl_min_version": _version,
    "ssl_ciphers": str,
}
_PLAIN: Final[Mapping[str, Callable[[str], Any]]] = {
    "socket_timeout": lambda value: max(_seconds(value), _LEAST_TIMEOUT),
    "socket_connect_timeout": _seconds,
    "socket_keepalive": _switch,
    "health_check_interval": _whole,
    "client_name": _name,
}
_IGNORED: Final[Mapping[str, Callable[[str], Any]]] = {
    "decode_responses": _switch,
    "encoding": _name,
    "encoding_errors": _name,
    "max_connections": _whole,
    "protocol": _whole,
    "retry_on_timeout": _switch,
    "timeout": _seconds,
}
"""Taken, since an application may have the same URL, and without effect: octets stay octets, and what is repeated when
is decided elsewhere."""


@dataclass(frozen=True, slots=True)
class Server:
    """`path` is that of a socket, or empty. An empty password means no login. `options` are redis-py's by name."""

    host: str
    port: int
    path: str
    database: int
    user: str
    password: str
    tls: bool
    options: Mapping[str, Any]

    @property
    def broker_url(self) -> str:
        """As kombu writes it. The options are not in it: kombu reads them otherwise, or not at all."""
        login = f"{quote(self.user, safe='')}:{quote(self.password, safe='')}@" if self.password else ""
        if self.path:
            return f"redis+socket://{login}{quote(self.path)}?virtual_host={self.database}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'rediss' if self.tls else 'redis'}://{login}{host}:{self.port}/{self.database}"


def server(url: str) -> Server:
    """Raises `ValueError` with the problem and no password. For one server, not behind Sentinel."""
    parts = urlsplit(url)
    options = options_of(url)
    socket = parts.scheme.lower() in SOCKETS
    database = next((value for name, value in parse_qsl(parts.query) if name in _DATABASE), "")
    database = database or ("" if socket else parts.path.strip("/"))
    if database and not (database.isascii() and database.isdigit() and len(database) <= 5):
        raise ValueError("the database must be a number")
    password = unquote(parts.password or "")
    return Server(
        host=unquote(parts.hostname or "127.0.0.1"),
        port=6379 if socket else parts.port or 6379,
        path=unquote(parts.path) if socket else "",
        database=int(database or 0),
        user=unquote(parts.username or "") if password else "",
        password=password,
        tls=parts.scheme.lower() == "rediss",
        options=options,
    )


def options_of(url: str) -> dict[str, Any]:
    """The options that have an effect, behind Sentinel too. Raises `ValueError` that names the wrong one."""
    parts = urlsplit(url)
    tls = parts.scheme.lower().startswith("rediss")
    known = {**_PLAIN, **_IGNORED, **_TLS}
    found: dict[str, Any] = {}
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if name in _DATABASE:
            continue
        if name not in known:
            told = name if name.isprintable() and len(name) <= 40 else "one of them"
            raise ValueError(f"the option {told} is not known{did_you_mean(name, tuple(known), '{}')}")
        if name in _TLS and not tls:
            raise ValueError(f"the option {name} is for rediss://")
        try:
            checked = known[name](value)
        except ValueError as error:
            raise ValueError(f"the option {name}: {error}") from None
        if name not in _IGNORED:
            found[name] = checked
    if tls:
        _check_certificates(found)
    return found


def _check_certificates(options: Mapping[str, Any]) -> None:
    name = "ssl_ca_certs"
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if "ssl_ca_certs" in options:
            context.load_verify_locations(options["ssl_ca_certs"])
        name = "ssl_ciphers"
        if "ssl_ciphers" in options:
            context.set_ciphers(options["ssl_ciphers"])
        name = "ssl_certfile"
        if "ssl_certfile" in options:
            key, password = options.get("ssl_keyfile"), options.get("ssl_password", "")
            context.load_cert_chain(options["ssl_certfile"], key, password)
        elif "ssl_keyfile" in options:
            raise ValueError("the option ssl_keyfile needs ssl_certfile beside it")
    except OSError as error:
        reason = getattr(error, "reason", None) or error.strerror or type(error).__name__
        raise ValueError(f"the option {name}: cannot be used ({reason})") from None


@dataclass(frozen=True, slots=True)
class Broker:
    """What Celery is told: `url`, `broker_use_ssl`, and what goes into `broker_transport_options`."""

    url: str
    ssl: Mapping[str, Any]
    options: Mapping[str, Any]


def broker(url: str) -> Broker:
    """For any URL that the settings take, Redis or not."""
    scheme = url.partition("://")[0].lower()
    if ";" in url or scheme not in ("redis", "rediss", *SOCKETS, "redis+sentinel", "rediss+sentinel"):
        return Broker(url, {}, {})
    options = options_of(url)
    security = {name: value for name, value in options.items() if name in _TLS}
    rest = {name: value for name, value in options.items() if name not in _TLS}
    behind = sentinels(url)
    if behind is not None:
        tls, address, rest = behind.tls, behind.broker_url, {"master_name": behind.master, **rest}
    else:
        one = server(url)
        tls, address = one.tls, one.broker_url
    return Broker(address, {"ssl_cert_reqs": "required", **security} if tls else {}, rest)
