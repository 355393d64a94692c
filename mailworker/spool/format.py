"""The version of the spool's format, which stands in Redis.

    1  before there was a key `format`: one relay without a name, the list of an entry in the field `queue`
    2  keys of each relay by its name, the list in the field `source`
    3  frames in place of JSON, and files that are kept once: the records that need one are counted

Whoever meets an older one migrates it (`migrate.lua`), once no worker of the older version is at work. Whoever meets a
newer one stops: what he does not know he would misread, or lose.
"""

from __future__ import annotations

import redis

from ..errors import NewerFormat, WrongFormat
from .constants import SPOOL_FORMAT


def met(error: redis.ResponseError) -> int | None:
    """The format that a script refused to run in, 0 for none. None for another error."""
    word, _, found = str(error).partition(" ")
    if word != "FORMAT":
        return None
    return int(found) if found.isdecimal() else 0


def refuse(found: int, at_work: int = 0) -> None:
    """Raises `NewerFormat`, or `WrongFormat` where the spool cannot be migrated yet since `at_work` workers of the
    older version are at work."""
    if found > SPOOL_FORMAT:
        raise NewerFormat(
            f"a newer version wrote the spool in Redis (format {found}, and this one knows {SPOOL_FORMAT}):"
            " install the newer one here, too"
        )
    if at_work:
        raise WrongFormat(
            f"the spool in Redis is of an older format, and {at_work} workers of the older version are at work:"
            " it is migrated when they have stopped"
        )


def refuse_older() -> None:
    """For who may not migrate it. Raises `WrongFormat`."""
    raise WrongFormat("the spool in Redis is of an older format: the next start of a worker migrates it")
