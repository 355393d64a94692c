"""Signs finished messages with DKIM (RFC 6376, 8301, 8463), RSA and Ed25519, both parts in relaxed form. Pure, but for
the keys, which are read from their files once.

The key is chosen by the domain in From, since receivers compare that (DMARC's alignment): the domain's own, or the one
of its nearest parent. The signature is the same at each attempt: both algorithms are deterministic, and `t=` is the
time at which the mail was accepted. The body is always covered as a whole (no `l=`), and for good (no `x=`).
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Final

from ...errors import SettingsError, Unsendable
from . import dkim_keys, relaxed
from .dkim_keys import ALGORITHMS, Key, Source
from .from_domains import from_domains

SETTING: Final = "MAILWORKER_DKIM_KEYS"

COVERED: Final = (
    b"from", b"to", b"cc", b"subject", b"reply-to", b"in-reply-to", b"references",
    b"mime-version", b"content-type", b"content-transfer-encoding", b"list-unsubscribe", b"list-unsubscribe-post",
)  # fmt: skip
"""Named once more than they are there, so that nobody can add one (8.15), also where there is none."""
COVERED_IF_THERE: Final = (
    b"date", b"message-id", b"sender", b"auto-submitted", b"feedback-id",
    b"list-id", b"list-help", b"list-owner", b"list-post", b"list-subscribe", b"list-archive",
    b"resent-date", b"resent-from", b"resent-sender", b"resent-to", b"resent-cc", b"resent-message-id",
)  # fmt: skip
"""As those, but where there is none a relay, or a list that passes the mail on, may add its own."""

_FOLD_AT: Final = 76
_USUAL: Final = 64
"""Names in `h=`: a message that repeats its headers has more, and a form that is not kept for others."""


@dataclass(frozen=True)
class Signers:
    """Made by the settings. The files are read when the first mail is signed, or by `read`."""

    sources: tuple[Source, ...]
    required: bool = False
    """A mail that no key fits is not sent."""

    @cached_property
    def keys(self) -> dict[str, list[Key]]:
        """By their domains, RSA first. Raises `SettingsError`."""
        keys: dict[str, list[Key]] = {}
        for source in self.sources:
            keys.setdefault(source.domain, []).append(_read(source))
        return {domain: sorted(those, key=_rank) for domain, those in keys.items()}

    def read(self) -> None:
        """For the start of a process: its children have the keys from then on, whatever becomes of the files. Raises
        `SettingsError`."""
        self.keys  # noqa: B018 - is read by this

    @property
    def warnings(self) -> list[str]:
        """What is to be said of the keys, each with its file."""
        return [warning for keys in self.keys.values() for key in keys for warning in key.warnings]

    def keys_of(self, domain: str) -> list[Key]:
        """Its own, or those of its nearest parent; never of a top-level domain, which is nobody's."""
        keys = self.keys.get(domain, [])
        while not keys and domain.count(".") > 1:
            domain = domain.partition(".")[2]
            keys = self.keys.get(domain, [])
        return keys

    def sign(self, message: bytes, at: int) -> bytes:
        """The header lines that go before the message: a signature for each key of its author's domain, or nothing.

        `at` is the Unix time at which it was accepted. Raises `Unsendable("dkim_no_key")` where one is required.
        """
        head, begin = relaxed.head_and_body(message)
        fields = relaxed.fields(head)
        keys = self._fitting(fields.get(b"from", []))
        if not keys:
            return b""
        names = tuple(_names(fields))
        covered = _covered(fields, names)
        bh = b64encode(relaxed.body_hash(message, begin))
        return b"".join([_signature(key, names, covered, b"t=%d; bh=%b;" % (at, bh)) for key in keys])

    def _fitting(self, authors: list[bytes]) -> list[Key]:
        """A message with several From headers, or none, has no author whom a receiver could hold it against."""
        domains = from_domains(authors[0]) if len(authors) == 1 else ()
        for domain in domains:
            if keys := self.keys_of(domain):
                return keys
        if self.required:
            what = f"no key for {' or '.join(domains)}" if domains else "no domain in its From header"
            raise Unsendable("dkim_no_key", f"{what}, and MAILWORKER_DKIM_REQUIRED is set")
        return []


def _read(source: Source) -> Key:
    try:
        return dkim_keys.read(source)
    except ImportError:
        why = "needs the Python package cryptography: pip install 'mailworker[dkim]'"
        raise SettingsError(f"{SETTING}: {why}") from None
    except ValueError as error:
        raise SettingsError(f"{SETTING}: {source.file}: {error}") from None


def _rank(key: Key) -> int:
    return ALGORITHMS.index(key.algorithm)


def _names(fields: dict[bytes, list[bytes]]) -> Iterator[bytes]:
    """What `h=` names, in its order."""
    for name in COVERED:
        yield from [name] * (len(fields.get(name, ())) + 1)
    for name in COVERED_IF_THERE:
        if name in fields:
            yield from [name] * (len(fields[name]) + 1)


def _covered(fields: dict[bytes, list[bytes]], names: tuple[bytes, ...]) -> bytes:
    """The headers that are there, those of one name from the last to the first (5.4.2)."""
    lines = [b"%b:%b\r\n" % (name, value) for name in dict.fromkeys(names) for value in reversed(fields.get(name, ()))]
    return b"".join(lines)


def _signature(key: Key, names: tuple[bytes, ...], covered: bytes, of_this_mail: bytes) -> bytes:
    tags = _tags if len(names) <= _USUAL else _tags.__wrapped__
    value = b"%b\r\n %b\r\n b=" % (tags(key.algorithm, key.source.domain, key.source.selector, names), of_this_mail)
    signed = key.sign(covered + b"dkim-signature:" + value.replace(b"\r\n", b""))
    return b"DKIM-Signature: %b%b\r\n" % (value, _folded(b64encode(signed)))


@lru_cache(maxsize=256)
def _tags(algorithm: str, domain: str, selector: str, names: tuple[bytes, ...]) -> bytes:
    """What is the same in each mail of a kind. It is relaxed once its lines are joined."""
    fixed = f"v=1; a={algorithm}; c=relaxed/relaxed;\r\n d={domain}; s={selector};"
    lines = [b"h="]
    for name in names:
        if len(lines[-1]) + len(name) > _FOLD_AT:
            lines.append(b"")
        lines[-1] += name + b":"
    return b"%b\r\n %b;" % (fixed.encode("ascii"), b"\r\n ".join(lines).removesuffix(b":"))


def _folded(signature: bytes) -> bytes:
    """White space inside of `b=` counts for nothing (3.5)."""
    return b"\r\n ".join([signature[at : at + _FOLD_AT - 4] for at in range(0, len(signature), _FOLD_AT - 4)])
