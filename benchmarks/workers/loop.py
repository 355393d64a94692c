"""The hand-written consumer: pop one, build it, send it. A crash loses what is in hand."""

from __future__ import annotations

import sys

from .common import fork, pop_for_ever, send


def work() -> None:
    pop_for_ever(lambda mail: send(**mail))


if __name__ == "__main__":
    fork(int(sys.argv[1]), work)
