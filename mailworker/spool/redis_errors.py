"""What Redis says when it says no: its code, its words without anybody's data, and what to do about it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import redis
from redis import exceptions

from ..errors import SpoolError

_CLASSES: Final[tuple[tuple[type[Exception], str], ...]] = (
    (exceptions.OutOfMemoryError, "OOM"),
    (exceptions.ReadOnlyError, "READONLY"),
    (exceptions.BusyLoadingError, "LOADING"),
    (exceptions.NoPermissionError, "NOPERM"),
    (exceptions.AuthenticationError, "WRONGPASS"),
    (exceptions.MasterDownError, "MASTERDOWN"),
    (exceptions.ClusterDownError, "CLUSTERDOWN"),
    (exceptions.TryAgainError, "TRYAGAIN"),
)
"""Where redis-py makes a class of a code, it takes the code from the text."""

_CODE: Final = re.compile(
    r"\b(OOM|MISCONF|NOREPLICAS|READONLY|LOADING|BUSY|UNKILLABLE|NOAUTH|WRONGPASS|NOPERM|MASTERDOWN|CLUSTERDOWN"
    r"|TRYAGAIN|WRONGTYPE|DENIED)\b"
)
"""Before Redis 7 a script's error has them somewhere behind `ERR Error running script`."""

_SCRIPT: Final = re.compile(r"\.?,? script: [0-9a-f]{40}, on ")
"""Where in a script it was is nothing for people."""

PASSES: Final = frozenset({"LOADING", "BUSY", "UNKILLABLE", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN"})
"""It goes on without anybody."""

LOGIN: Final = frozenset({"NOAUTH", "WRONGPASS", "NOPERM", "DENIED"})
"""The settings, or Redis's own, have to be mended."""

ADVICE: Final = {
    "OOM": "Redis is full (maxmemory): what is in the spool is sent and frees memory, new mail is refused until then;"
    " raise maxmemory, or find out what fills it",
    "MISCONF": "Redis cannot save and takes no writes: look at its log and disk; until then mail waits",
    "NOREPLICAS": "Redis has fewer replicas than min-replicas-to-write and takes no writes: bring the replica back;"
    " until then mail waits",
    "READONLY": "Redis is a read-only replica: point MAILWORKER_REDIS_URL at the master; until then mail waits",
    "LOADING": "Redis loads its data after a start: wait",
    "BUSY": "Redis is busy with somebody's script: wait, or end it with SCRIPT KILL",
    "UNKILLABLE": "Redis is busy with somebody's script that has written already: wait",
    "NOAUTH": "Redis wants a login: write user and password into MAILWORKER_REDIS_URL",
    "WRONGPASS": "Redis refuses the login: mend user and password in MAILWORKER_REDIS_URL",
    "NOPERM": "the Redis user lacks a right: ACL LOG shows which; docs/security.md has the users",
    "MASTERDOWN": "Redis is a replica without its master: bring the master back",
    "CLUSTERDOWN": "Redis is part of a cluster that is down",
    "WRONGTYPE": "a key is of another type than mailworker needs: rename it, or choose another name in the settings",
    "DENIED": "Redis is in protected mode: it wants a password or a bind address",
}


def code(error: BaseException) -> str:
    """The code of the reply, empty where it has none of those known here."""
    seen: BaseException | None = error
    while seen is not None and not isinstance(seen, redis.RedisError):
        seen = seen.__cause__
    if seen is None:
        return ""
    if isinstance(seen, exceptions.AuthenticationError) and "required" in str(seen):
        return "NOAUTH"
    for kind, name in _CLASSES:
        if isinstance(seen, kind):
            return name
    found = _CODE.search(_text(seen))
    return found[1] if found else ""


def translated(error: redis.RedisError) -> SpoolError:
    """For `raise … from error`."""
    return SpoolError(f"Redis: {words(error)}")


def is_full(error: BaseException) -> bool:
    """Redis has no memory left for a write."""
    return code(error) == "OOM"


def words(error: BaseException) -> str:
    """For the log: what Redis said, in one line. Where a reply repeats the command, that is left out."""
    seen = error.__cause__ if isinstance(error.__cause__, redis.RedisError) else error
    if not isinstance(seen, redis.RedisError):
        return type(error).__name__
    text = _text(seen)
    name = code(seen)
    if not name:
        text = f"{type(seen).__name__}: {text}"
    elif name not in text:
        text = f"{name} {text}"
    return "".join(character if character.isprintable() else " " for character in text)[:200]


def _text(error: BaseException) -> str:
    text = str(error)
    if "of pipeline caused error: " in text:  # redis-py puts the command before it
        text = text.partition("of pipeline caused error: ")[2]
    return _SCRIPT.split(text.partition(", with args beginning with")[0])[0]


def told(error: BaseException) -> str:
    """For a person: what is wrong, what to do about it, and in brackets what Redis said."""
    said = words(error)
    if advice := ADVICE.get(code(error)):
        return f"{advice} ({said})"
    cause = error.__cause__ if isinstance(error.__cause__, redis.RedisError) else error
    if isinstance(cause, redis.ConnectionError | redis.TimeoutError):
        return f"Redis does not answer: look whether it runs, and at MAILWORKER_REDIS_URL ({said})"
    return str(error)


def refuses(info: Mapping[str, Any]) -> str:
    """The code with which this Redis refuses writes by what its INFO says, or ''."""
    if info.get("role") == "slave" and str(info.get("slave_read_only", 1)) == "1":
        return "READONLY"
    if info.get("min_slaves_good_slaves") == 0:  # told only where min-replicas-to-write is set
        return "NOREPLICAS"
    if "err" in (info.get("rdb_last_bgsave_status"), info.get("aof_last_write_status")):
        return "MISCONF"
    most, policy = int(info.get("maxmemory", 0)), info.get("maxmemory_policy")
    used = int(info.get("used_memory", 0)) - int(info.get("mem_not_counted_for_evict", 0))
    return "OOM" if most and policy == "noeviction" and used >= 0.99 * most else ""
