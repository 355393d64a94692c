"""The whole way from the octets on the list to the octets on the wire: only `Unsendable` may be raised.

Short by default; `MAILWORKER_FUZZ_SECONDS=600 pytest tests/unit/mail/test_fuzz.py` goes on for that long.
"""

from __future__ import annotations

import base64
import json
import os
import random
import re
import time
import tracemalloc
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from mailworker.errors import Unsendable
from mailworker.mail.address import Mailbox
from mailworker.mail.email import Limits
from mailworker.mail.entry import from_entry
from mailworker.mail.wire.mime import build

from .test_corpus import CORPUS
from .test_entry import serialized
from .test_packs import PACKERS
from .test_payload import GOLDEN, golden

SECONDS = float(os.environ.get("MAILWORKER_FUZZ_SECONDS", "0"))
SENDER = Mailbox("site@example.com", "某站".encode())
LIMITS = Limits()
SLOWEST = 0.1
HEADER = re.compile(
    rb"(Subject|From|To|Date|Message-ID|MIME-Version|Content-Type|Content-Transfer-Encoding): [\x20-\x7e\x80-\xff]*"
    rb"(\r\n [\x20-\x7e\x80-\xff]*)*\r\n"
)

ADDRESSES = st.sampled_from(
    ["a@b.c", "ü@b.c", "a@bücher.example", '"a b"@c.d', "a@[1.2.3.4]", "a@b", "nobody", "a@b.c, d@e.f", "N <a@b.c>"]
) | st.text('ab.@"\\<> ,()[]:ü=?\r\n\0-_', max_size=20)  # fmt: skip
PIECES = ["=?utf-8?q?", "=0d=0a", "Bcc: x@y", "?=", "=?utf-8?b?DQo=?=", "\r\n", ".\r\n", " " * 80]
TEXTS = (
    st.text(max_size=60)
    | st.binary(max_size=60)
    | st.text("ab =?_.,\"'\\<>@:\r\n\t\0é😀\u2028", max_size=90)
    | st.lists(st.sampled_from(PIECES), max_size=8).map("".join)
)  # fmt: skip
SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats() | TEXTS
NAMED = st.dictionaries(ADDRESSES | st.integers(0, 9), TEXTS | SCALARS | st.lists(SCALARS, max_size=2), max_size=4)
TO = ADDRESSES | st.lists(ADDRESSES | SCALARS, max_size=4) | NAMED | SCALARS
MAILS = st.fixed_dictionaries(
    {"to": TO, "subject": SCALARS, "body": SCALARS},
    optional={"cc": ADDRESSES, "meta": st.lists(st.dictionaries(TEXTS, SCALARS, max_size=2), max_size=2)},
)


def _json(mail: Any) -> bytes:
    def text(value: Any) -> Any:
        if isinstance(value, bytes):
            return value.decode("latin-1")
        if isinstance(value, dict):
            return {str(text(key)): text(item) for key, item in value.items()}
        return [text(item) for item in value] if isinstance(value, list) else value

    return json.dumps(text(mail)).encode("utf-8", "surrogatepass")


@st.composite
def entries(draw: st.DrawFn) -> bytes:
    """A mail as a producer writes it, perhaps wrapped, perhaps damaged."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.binary(max_size=200))
    mail = draw(MAILS)
    raw = draw(st.sampled_from([serialized, _json]))(mail)
    wrap = draw(st.sampled_from(["", "", "", "php", "json", "igbinary", "msgpack"]))
    if wrap == "php":
        raw = serialized(raw)
    elif wrap == "json":
        raw = json.dumps(raw.decode("latin-1")).encode()
    elif wrap:
        raw = (b"\0\0\0\2\x13" if wrap == "igbinary" else b"\xdb") + len(raw).to_bytes(4, "big") + raw
    raw = draw(st.sampled_from([bytes, bytes, *PACKERS.values()]))(raw)
    return draw(st.just(raw) | st.integers(0, 2**32).map(lambda seed: damaged(raw, seed)))


def damaged(raw: bytes, seed: int) -> bytes:
    rng = random.Random(seed)
    octets = bytearray(raw)
    for _ in range(rng.randrange(1, 5)):
        at = rng.randrange(len(octets) + 1)
        span = rng.randrange(16)
        match rng.randrange(6):
            case 0:
                del octets[at:]
            case 1:
                del octets[at : at + span]
            case 2:
                octets[at:at] = rng.randbytes(span)
            case 3:
                octets[at : at + 1] = bytes([rng.choice(b'0123456789:;{}"\\asdibNRSO[]\r\n\0=?<>@')])
            case 4:
                octets[at:at] = octets[at : at + span] * rng.randrange(1, 50)
            case _:
                octets[at:at] = rng.choice(
                    [b"R:1;", b"a:9:{", b"O:1:", b"=?utf-8?q?=0a?=", b'S:2:"\\0d\\0a";', b"\\ud800"]
                )
    return bytes(octets)


def check_the_whole_way(raw: bytes) -> None:
    try:
        envelope = build(from_entry(raw, LIMITS), SENDER, "id@example.com", 1_700_000_000_000)
    except Unsendable as error:
        reason, detail = error.reason, error.detail
    else:
        check_envelope(envelope.recipients, envelope.data)
        return
    assert re.fullmatch("[a-z0-9_]+", reason)
    assert "@" not in detail.removeprefix("to: an address has no @").replace("the @", "")
    assert detail.isprintable()
    assert reason != "unbuildable"


def check_envelope(recipients: tuple[str, ...], data: bytes) -> None:
    assert recipients
    for recipient in recipients:
        assert recipient.isprintable()
        assert len(recipient.encode()) <= 320
    head, _, body = data.partition(b"\r\n\r\n")
    head += b"\r\n"
    assert "".join(match[0].decode("latin-1") for match in HEADER.finditer(head)) == head.decode("latin-1")
    names = [match[1] for match in HEADER.finditer(head)]
    assert len(names) == len(set(names))
    assert body.endswith(b"\r\n")
    for line in data.split(b"\r\n"):
        assert len(line) <= 998
        assert b"\r" not in line
        assert b"\n" not in line
        assert b"\0" not in line


@given(entries())
@settings(max_examples=300, suppress_health_check=list(HealthCheck), phases=[Phase.generate, Phase.shrink])
def test_any_entry_becomes_a_mail_or_has_a_reason(raw: bytes) -> None:
    check_the_whole_way(raw)


def test_any_entry_stays_within_its_bounds_for_as_long_as_is_asked_for() -> None:
    """Damages mails at random for MAILWORKER_FUZZ_SECONDS (a second if unset), and watches time and memory."""
    seed = random.SystemRandom().randrange(2**32)
    rng = random.Random(seed)
    corpus = _corpus()
    end = time.monotonic() + (SECONDS or 1)
    count = 0
    while time.monotonic() < end:
        raw = rng.choice(corpus)
        for _ in range(rng.randrange(4)):
            raw = damaged(raw, rng.randrange(2**63))
        count += 1
        begun = time.process_time()
        try:
            check_the_whole_way(raw)
        except BaseException as error:
            raise AssertionError(f"seed {seed}, entry {raw!r}") from error
        took = time.process_time() - begun
        if took > SLOWEST:  # once more: the machine may have been busy
            begun = time.process_time()
            check_the_whole_way(raw)
            took = min(took, time.process_time() - begun)
        assert took < SLOWEST, f"seed {seed}, {took} s for {raw!r}"
        if count % 50 == 0:
            _check_memory(raw, seed)
    print(f"{count} entries, seed {seed}")
    assert count > 100


def _check_memory(raw: bytes, seed: int) -> None:
    tracemalloc.start()
    try:
        check_the_whole_way(raw)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 10 * len(raw) + 200_000, f"seed {seed}, {peak} octets for {raw!r}"


def _corpus() -> list[bytes]:
    entries = [base64.b64decode(case["raw_b64"]) for case in CORPUS.values()] + [golden(name) for name in GOLDEN]
    entries += [raw for raw in entries if len(raw) < 5000] * 5
    big = {"to": {"a@b.c": "N" * 500, "d@e.f": "ü" * 500}, "subject": "word ü " * 300, "body": "line\r\n" * 500}
    return [*entries, serialized(big), _json(big)]
