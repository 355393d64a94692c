"""Waiting for an entry of a legacy list."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Final

import redis

ANSWER_SECONDS: Final = 9.0
"""What Redis may be late with the answer of a command that waits."""


def listen(
    client: redis.Redis, queue: str, seconds: float, outside: Callable[[], AbstractContextManager[None]]
) -> None:
    """Returns when the list has an entry, or after these seconds; takes none. The waiting itself, which is but a read
    of this call's own socket, is done within `outside()`.

    Raises redis-py's errors.
    """
    pool = client.connection_pool
    connection: Any = pool.get_connection()
    try:
        # Moves the tail onto itself. redis-py types whole seconds; Redis 6 takes fractions.
        connection.send_command("BLMOVE", queue, queue, "RIGHT", "RIGHT", seconds)
        with outside():
            answered = connection.can_read(timeout=seconds + ANSWER_SECONDS)
        if not answered:
            raise redis.TimeoutError("BLMOVE was not answered")
        connection.read_response()
    except redis.ResponseError:
        raise
    except BaseException:
        connection.disconnect()
        raise
    finally:
        pool.release(connection)
