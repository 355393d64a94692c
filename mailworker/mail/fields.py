"""The fields of a mail, a line each. From this table follows how each is read from an entry and from the arguments of
`send_email`, and how it is written into the spool's format, into PHP's and into a header. Pure.

A field here is an attribute of `Email` and a parameter of `arguments.send_email`, under the same name. What is passed
beside the mail, as a time or an id, is no field: it is an attribute of `arguments.Call`.

A new field has a default in `Email`, and a mail that has it is written without the field. One that an older version
would not read, and so drop without a word, counts `SPOOL_FORMAT` up (`spool/constants.py`).
"""

from __future__ import annotations

import dataclasses
from dataclasses import MISSING, dataclass
from typing import Any, Final, Protocol

from .email import Email
from .mailboxes import Mailboxes
from .text import Text

MAX_SUBJECT: Final = 64 * 1024
"""Octets. Relays cut or refuse longer headers (Postfix, header_size_limit: 102,400)."""


class Kind(Protocol):
    """What a field may hold. `name` is the field's, for the errors: they tell of it, and never of what it holds."""

    def from_value(self, name: str, value: Any) -> Any:
        """What `payload.read` found in an entry. Raises `Unsendable`."""

    def from_argument(self, name: str, value: Any) -> Any:
        """What a caller passed. Raises `TypeError` for a wrong type, else `Unsendable`."""

    def to_json(self, content: Any) -> Any:
        """A value for `json.dumps`, from which `from_value` makes the same again."""

    def to_php(self, content: Any) -> bytes:
        """The same as `serialize()` writes it."""

    def size(self, content: Any) -> int:
        """So many octets that the JSON of it has six times as many at most: a cheap look before it is written."""


@dataclass(frozen=True, slots=True)
class Field:
    """`header` is the one that shows its mailboxes, None where there are none to be shown."""

    name: str
    kind: Kind
    header: bytes | None = None


FIELDS: Final = (
    Field("to", Mailboxes(), header=b"To"),
    Field("subject", Text(at_most=MAX_SUBJECT)),
    Field("body", Text()),
)

WANTED: Final = frozenset(field.name.encode("ascii") for field in FIELDS)
"""The keys of an entry that a mail is made of. All others are left unread."""

NEEDED: Final = frozenset(attribute.name for attribute in dataclasses.fields(Email) if attribute.default is MISSING)
"""The names of those without which there is no mail."""
