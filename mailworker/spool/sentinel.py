"""The URL of a Redis behind Sentinel: `redis+sentinel://user:password@host:26379,host:26379/master-name/0`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, quote, unquote, urlsplit

SENTINEL_SCHEMES: Final = ("redis+sentinel", "rediss+sentinel")


@dataclass(frozen=True, slots=True)
class Sentinels:
    """User and password are for Redis itself; the sentinels are asked without a login."""

    hosts: tuple[tuple[str, int], ...]
    master: str
    database: int
    user: str
    password: str
    tls: bool

    @property
    def broker_url(self) -> str:
        """The same as kombu writes it; the master's name goes into its transport options."""
        login = f"{quote(self.user, safe='')}:{quote(self.password, safe='')}@" if self.password else ""
        return ";".join(f"sentinel://{login}{host}:{port}/{self.database}" for host, port in self.hosts)


def sentinels(url: str) -> Sentinels | None:
    """None for a URL that does not speak of Sentinel. Raises `ValueError` with the problem and no password."""
    parts = urlsplit(url)
    if parts.scheme not in SENTINEL_SCHEMES:
        return None
    login, _, hosts = parts.netloc.rpartition("@")
    user, _, password = login.partition(":")
    master, _, database = parts.path.strip("/").partition("/")
    if not master:
        raise ValueError("must name the master after the hosts, as in redis+sentinel://host:26379/mymaster/0")
    if database and not database.isdigit():
        raise ValueError("the database after the last slash must be a number")
    return Sentinels(
        hosts=tuple(_host(item) for item in hosts.split(",")),
        master=unquote(master),
        database=int(database or 0),
        user=unquote(user),
        password=unquote(password),
        tls=parts.scheme.startswith("rediss"),
    )


def _host(text: str) -> tuple[str, int]:
    parts = SplitResult("", text, "", "", "")
    try:
        if not parts.hostname:
            raise ValueError
        return parts.hostname, parts.port or 26379
    except ValueError:
        raise ValueError("must have hosts as host:port with commas between them") from None
