"""`celery -A mailworker flower`: never without a login, on loopback unless told otherwise, no word of a mail in it.

Flower reads its options from FLOWER_* in the environment, the command line, and `./flowerconfig.py`; the packaged
`flowerconfig.py` is under all of these. What is checked here holds whatever they say.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, Final

import flower.command
import flower.events
from flower.app import Flower
from flower.events import EventsState
from flower.views.monitor import Metrics
from tornado.options import options
from tornado.web import authenticated

from .. import envfile
from .privacy import DOORBELLS, HIDDEN

CONFIGURATION: Final = Path(__file__).with_name("flowerconfig.py")
HOW: Final = "set FLOWER_BASIC_AUTH=user:password"
NOTHING: Final = (None, "", "()", "[]", "{}")


def prepare() -> None:
    """Before Flower reads its options: puts the packaged ones under them and its parts behind the login."""
    _read_env_file()
    options.parse_config_file(str(CONFIGURATION), final=False)
    flower.command.Flower = ClosedFlower
    flower.events.EventsState = PrivateState
    Metrics.get = authenticated(Metrics.get)


def _read_env_file() -> None:
    """FLOWER_* may stand in `.env`, as MAILWORKER_* may; the environment comes first."""
    for key, value in envfile.read().items():
        if key.startswith("FLOWER_"):
            os.environ.setdefault(key, value)


class ClosedFlower(Flower):  # type: ignore[misc]  # flower has no types
    """Ends the command with one line where there is no login. Metrics need it as well; `/healthcheck` only says OK."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        problem = login_problem(options.basic_auth, options.auth)
        if problem:
            sys.exit(f"mailworker: flower: {problem}; {HOW}")
        super().__init__(*args, **settings)


def login_problem(basic_auth: list[str] | None, oauth: str | None) -> str | None:
    """What is wrong with Flower's login, if anything. A comma in a password would split it into two logins."""
    if not basic_auth:
        return None if oauth else "does not start without a login"
    if not all(user and password for user, _, password in (login.partition(":") for login in basic_auth)):
        return "a login is user:password, without a comma in it"
    return None


class PrivateState(EventsState):  # type: ignore[misc]  # flower has no types
    """What Flower remembers. Producers that are not this package may send the mail along with their events."""

    def event(self, event: dict[str, Any]) -> None:
        if event.get("name") not in DOORBELLS:
            hidden = {key: HIDDEN for key in ("args", "kwargs") if event.get(key) not in NOTHING}
            event = {**event, **hidden}
        super().event(event)
