"""The spool: every mail from the moment it is accepted until a relay has it or a person must look.

The only package that knows the keys. Each step is one Lua script in `lua/`, so that whatever dies, a record
and its place in `due` never disagree.

- What the others use: `spool` (the scripts as methods), `queries` (what the commands show), `records` (the values that
  both return), `listen` (waiting for an entry).
- How new code's mail gets in, with its files: `acceptance`.
- A script: its arguments in `scripts`, an outcome in them by `settlement`, its text by `script_text`, run by `runner`.
  The names of keys stand in `keys`, what both sides know besides in `constants`, the layout's version in `format`.
- Who has mails in hand: `owner` makes and reads the names, `machine` knows whether a process is gone.
- Redis: `connect`, `server` (a URL and its options), `sentinel`, `redis_errors` (what it says when it says no).
"""

from .acceptance import STEP, steps
from .connect import connect
from .constants import Constants
from .queries import DeadLetter, Queries, Waiting
from .records import Abandoned, Accepted, Claim, Look, New, Place, Record, Refused, Settled, Taken, token_of
from .spool import Spool

__all__ = [
    "STEP",
    "Abandoned",
    "Accepted",
    "Claim",
    "Constants",
    "DeadLetter",
    "Look",
    "New",
    "Place",
    "Queries",
    "Record",
    "Refused",
    "Settled",
    "Spool",
    "Taken",
    "Waiting",
    "connect",
    "steps",
    "token_of",
]
