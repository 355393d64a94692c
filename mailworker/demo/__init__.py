"""`mailworker demo`: the whole line on one machine, with servers of its own. Needs the extra `mailworker[demo]`."""

from .demo import run

__all__ = ["run"]
