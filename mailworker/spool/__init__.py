"""The spool: every mail from the moment it is accepted until a relay has it or a person must look.

The only package that knows the keys. Each step is one Lua script in `lua/`, so that whatever dies, a record
and its place in `due` never disagree.
"""

from .connect import connect
from .constants import DEFAULT_RELAY
from .queries import DeadLetter, Queries, Waiting
from .records import Abandoned, Accepted, Claim, Look, Place, Record, Refused, Taken, token_of
from .spool import Spool

__all__ = [
    "DEFAULT_RELAY",
    "Abandoned",
    "Accepted",
    "Claim",
    "DeadLetter",
    "Look",
    "Place",
    "Queries",
    "Record",
    "Refused",
    "Spool",
    "Taken",
    "Waiting",
    "connect",
    "token_of",
]
