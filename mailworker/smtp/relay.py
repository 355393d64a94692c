"""Where mail goes and how: plain values, made once from the settings (see `relay_url`)."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from .token import Tokens


class Security(Enum):
    """From the scheme of the relay's URL."""

    CLEAR = "smtp"
    STARTTLS = "smtp+starttls"
    TLS = "smtps"


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Seconds: to be connected, for each reply as a whole, and for the reply after the final dot."""

    connect: float = 30
    reply: float = 30
    final: float = 120


@dataclass(frozen=True, slots=True)
class Relay:
    """One relay: where it is, the login, what is used of its extensions, and how long it may take."""

    host: str
    port: int
    security: Security = Security.CLEAR
    user: str = ""
    password: str = field(default="", repr=False)
    tokens: Tokens | None = field(default=None, repr=False)
    """For a login with XOAUTH2 or OAUTHBEARER."""
    ca_file: str | None = None
    helo: str = ""
    pipelining: bool = True
    chunking: bool = True
    dsn: bool = True
    window: int = 4
    idle: float = 20
    mails: int = 1000
    deadlines: Deadlines = Deadlines()
    name: str = "default"
    """What tells it from another relay."""

    @property
    def place(self) -> str:
        """For people: host and port."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
