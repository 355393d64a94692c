"""The version of the spool's format, which stands in Redis.

    1  before there was a key `format`: one relay without a name, the list of an entry in the field `queue`
    2  keys of each relay by its name, the list in the field `source`

Whoever meets an older one migrates it (`migrate.lua`), and whoever meets a newer one stops: what he does not know he
would misread, or lose.
"""

from __future__ import annotations

import redis

from ..errors import WrongFormat
from .constants import SPOOL_FORMAT


def met(error: redis.ResponseError) -> int | None:
    """The format that a script refused to run in, 0 for none. None for another error."""
    word, _, found = str(error).partition(" ")
    if word != "FORMAT":
        return None
    return int(found) if found.isdecimal() else 0


def refuse(found: int, at_work: int = 0) -> None:
    """Raises `WrongFormat` where the spool is newer than this program, or cannot be migrated since `at_work` workers of
    an older version are at work."""
    if found > SPOOL_FORMAT:
        raise WrongFormat(
            f"the spool in Redis is of format {found}, which a newer version wrote; this one knows {SPOOL_FORMAT}:"
            " install the newer one here, too"
        )
    if at_work:
        raise WrongFormat(
            f"the spool in Redis is of an older format, and {at_work} workers of the older version are at work:"
            " stop them first, then the next start migrates it"
        )


def refuse_older() -> None:
    """For who only reads. Raises `WrongFormat`."""
    raise WrongFormat("the spool in Redis is of an older format: the next start of a worker migrates it")
