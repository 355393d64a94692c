"""Connections that are idle, to Redis and to the relay: what lies between (NAT, a load balancer) forgets them, and
tells nobody."""

from __future__ import annotations

import socket
from typing import Final

FORGOTTEN: Final = 2
"""Seconds of idleness after which a connection is asked for an answer before it is used: one round trip."""

_SECONDS_AND_TIMES: Final = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3}
"""In time for what forgets an idle connection after 20 s, and soon where it has."""


def options() -> dict[int, int]:
    """TCP's own questions to the other side, as values of its options: those that this system has."""
    return {getattr(socket, name): value for name, value in _SECONDS_AND_TIMES.items() if hasattr(socket, name)}
