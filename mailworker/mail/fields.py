"""The fields of a mail, a line each. From this table follows how each is read from an entry and from the arguments of
`send_email`, and how it is written into the spool's format, into PHP's and into a header. Pure.

A field here is an attribute of `Email` and a parameter of `arguments.send_email`, under the same name. What is passed
beside the mail, as a time or an id, is no field: it is an attribute of `arguments.Call`.

A mail of `PLAIN` fields alone is kept in the spool as an entry of the legacy list is; any other as a frame.

A new field has a default in `Email`, and a mail that has it is written without the field. One that an older version
would not read, and so drop without a word, counts `SPOOL_FORMAT` up (`spool/constants.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Generic, Protocol, TypeVar

from .dsn import DsnOptions
from .email import Limits
from .files import Files, Inline
from .links import Links
from .mailboxes import Mailboxes, ReturnPath, Sender
from .own_headers import OwnHeaders
from .parts import Parts
from .text import Text

MAX_SUBJECT: Final = 56 * 1024
"""Octets. In encoded words they are up to 1.75 times as many, and relays cut or refuse longer headers (Postfix,
header_size_limit: 102,400)."""


class Kind(Protocol):
    """What a field may hold. `name` is the field's, for the errors: they tell of it, and never of what it holds."""

    def from_value(self, name: str, value: Any, limits: Limits) -> Any:
        """What `payload.read` found in an entry. Raises `Unsendable`."""

    def from_argument(self, name: str, value: Any, limits: Limits) -> Any:
        """What a caller passed. Raises `TypeError` for a wrong type, else `Unsendable`."""

    def to_frame(self, content: Any, parts: list[bytes]) -> Any:
        """A value for `json.dumps`; octets that stand behind it in the frame are put at the end of `parts`."""

    def from_frame(self, value: Any, parts: Parts) -> Any:
        """The same content again."""

    def size(self, content: Any) -> int:
        """About how many octets it is in the finished mail."""


class PlainKind(Kind, Protocol):
    """That of a field which an entry of the legacy list has always had."""

    def to_json(self, content: Any) -> Any:
        """A value for `json.dumps`, from which `from_value` makes the same again: of six times `size` at most."""

    def to_php(self, content: Any) -> bytes:
        """The same as `serialize()` writes it."""


K_co = TypeVar("K_co", bound=Kind, covariant=True)


@dataclass(frozen=True)
class Field(Generic[K_co]):
    """`header` is the one that shows its mailboxes, None where there are none to be shown."""

    name: str
    kind: K_co
    header: bytes | None = None


PLAIN: Final[tuple[Field[PlainKind], ...]] = (
    Field("to", Mailboxes(), header=b"To"),
    Field("subject", Text(at_most=MAX_SUBJECT)),
    Field("body", Text(apart=True)),
)

FIELDS: Final[tuple[Field[Kind], ...]] = (
    *PLAIN,
    Field("html", Text(apart=True)),
    Field("cc", Mailboxes(optional=True), header=b"Cc"),
    Field("bcc", Mailboxes(optional=True)),
    Field("reply_to", Mailboxes(optional=True), header=b"Reply-To"),
    Field("sender", Sender()),
    Field("return_path", ReturnPath()),
    Field("headers", OwnHeaders()),
    Field("attachments", Files()),
    Field("inline", Inline()),
    Field("list_unsubscribe", Links()),
    Field("dsn", DsnOptions()),
)

PLAIN_NAMES: Final = frozenset(field.name for field in PLAIN)
"""The names of those without which there is no entry. All other keys of one are left unread, unless a site allows
them."""
