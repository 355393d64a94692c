"""A field that holds of what a sender wants to be told (RFC 3461)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ..envelope import Dsn
from ..errors import Unsendable
from .email import Limits
from .formats.php import Value
from .parts import Parts

NOTIFY: Final = ("NEVER", "SUCCESS", "FAILURE", "DELAY")
RET: Final = ("FULL", "HDRS")
_EXPECTED: Final = "{'notify': 'NEVER', or some of 'SUCCESS', 'FAILURE' and 'DELAY'; 'ret': 'FULL' or 'HDRS'}"


@dataclass(frozen=True, slots=True)
class DsnOptions:
    """In a call `{"notify": …, "ret": …}`, either of which may be left out."""

    def from_value(self, name: str, value: Value, _: Limits) -> Dsn | None:
        if value is None:
            return None
        raise Unsendable("bad_field", f"{name}: is for calls of send_email")

    def from_argument(self, name: str, value: Any, _: Limits) -> Dsn:
        if not isinstance(value, Mapping) or not value.keys() <= {"notify", "ret"}:
            raise TypeError(f"{name}: expected {_EXPECTED}")
        return Dsn(_notify(name, value.get("notify")), _ret(name, value.get("ret")))

    def to_frame(self, content: Dsn, _: list[bytes]) -> dict[str, Any]:
        return {"notify": content.notify, "ret": content.ret}

    def from_frame(self, value: dict[str, Any], _: Parts) -> Dsn:
        return Dsn(tuple(value["notify"]), value["ret"])

    def size(self, _: Dsn | None) -> int:
        return 0


def _notify(name: str, value: Any) -> tuple[str, ...]:
    words = (value,) if isinstance(value, str) else value or ()
    if not isinstance(words, list | tuple | set | frozenset) or not all(isinstance(word, str) for word in words):
        raise TypeError(f"{name}: notify: expected {_EXPECTED}")
    told = {part.strip().upper() for word in words for part in word.split(",") if part.strip()}
    if not told <= set(NOTIFY):
        raise Unsendable("bad_field", f"{name}: notify: expected {_EXPECTED}")
    if "NEVER" in told and len(told) > 1:
        raise Unsendable("bad_field", f"{name}: notify: NEVER stands alone")
    return tuple(word for word in NOTIFY if word in told)


def _ret(name: str, value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise TypeError(f"{name}: ret: expected 'FULL' or 'HDRS', got {type(value).__name__}")
    if value.upper() not in RET:
        raise Unsendable("bad_field", f"{name}: ret: expected 'FULL' or 'HDRS'")
    return value.upper()
