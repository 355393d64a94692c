"""A batch should read large payloads when their turn comes: those that fit with one call, a larger one alone."""

from __future__ import annotations

import json
import os
import tracemalloc
from email import message_from_bytes
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mailworker.delivery.batch import Batch
from mailworker.delivery.compose import Compose
from mailworker.delivery.files import Files
from mailworker.mail.address import Mailbox
from mailworker.mail.arguments import from_arguments
from mailworker.mail.author import Author
from mailworker.mail.email import Limits
from mailworker.mail.frame import blobs, to_record
from mailworker.mail.signing.dkim import Signers
from mailworker.mail.signing.dkim_keys import Source
from mailworker.outcome import Failed
from mailworker.smtp.journal import Outgoing
from mailworker.spool import Spool, connect
from tests.batches import OWNER
from tests.batches import batch_of as made_of
from tests.conftest import RedisServer
from tests.spools import spool_of


@pytest.fixture
def spool(redis_server: RedisServer) -> Spool:
    return spool_of(connect(redis_server.url), ["queue:email"])


def batch_of(spool: Spool, *sizes: int) -> tuple[Batch, list[list[str]]]:
    """A batch of mails with bodies of these sizes, and a list of what it reads in each call."""
    ids = [f"m{number}" for number in range(len(sizes))]
    for mail_id, size in zip(ids, sizes, strict=True):
        fields = {"to": "someone@example.com", "subject": mail_id, "body": "x" * size}
        spool.accept(mail_id, json.dumps(fields).encode())
    calls: list[list[str]] = []
    read = spool.payloads

    def payloads(wanted: list[str]) -> dict[str, bytes]:
        calls.append(list(wanted))
        return read(wanted)

    spool.payloads = payloads  # type: ignore[method-assign, assignment]
    return made_of(spool, spool.take(OWNER, ids)), calls


def test_those_that_fit_are_read_together(spool: Spool) -> None:
    batch, calls = batch_of(spool, 100_000, 10, 100_000, 100_000, 0, 20_000, 20_000)
    mails = batch.next(100)
    assert [mail.id for mail in mails] == [f"m{number}" for number in range(7)]
    assert [len(mail.envelope.data) // 10_000 for mail in mails] == [10, 0, 10, 10, 0, 2, 2]
    assert calls == [["m0", "m2"], ["m3", "m5", "m6"]]


def test_one_that_is_larger_than_that_is_read_alone(spool: Spool) -> None:
    batch, calls = batch_of(spool, 300_000, 20_000, 300_000)
    assert [mail.id for mail in batch.next(100)] == ["m0", "m1", "m2"]
    assert calls == [["m0"], ["m1"], ["m2"]]


def test_one_that_is_gone_costs_the_others_nothing(spool: Spool) -> None:
    batch, _ = batch_of(spool, 20_000, 20_000, 20_000)
    spool.client.delete("mailworker:payload:m1")
    assert [mail.id for mail in batch.next(100)] == ["m0", "m2"]
    outcome = batch.attempts["m1"].outcome
    assert isinstance(outcome, Failed)
    assert outcome.reason == "gone"


def with_files(spool: Spool, *files: bytes) -> str:
    """Accepts a mail of new code with these files."""
    mail_id = f"f{len(spool.client.keys('mailworker:mail:*'))}"
    attached = [(f"{number}.bin", octets) for number, octets in enumerate(files)]
    mail = from_arguments(("a@example.com", mail_id, "text"), {"attachments": attached}, Limits()).mail
    spool.accept(mail_id, to_record(mail), blobs=blobs(mail))
    return mail_id


def batch_of_files(spool: Spool, *ids: str) -> tuple[Batch, list[list[str]]]:
    calls: list[list[str]] = []
    read = spool.blobs

    def read_blobs(digests: list[str]) -> dict[str, bytes]:
        calls.append(list(digests))
        return read(digests)

    spool.blobs = read_blobs  # type: ignore[method-assign, assignment]
    return made_of(spool, spool.take(OWNER, ids)), calls


def attached(mail: Outgoing) -> list[bytes]:
    parts = message_from_bytes(mail.envelope.data).walk()
    return [part.get_payload(decode=True) for part in parts if part.get_filename()]  # type: ignore[misc]


def test_a_file_that_many_mails_share_is_read_once(spool: Spool) -> None:
    shared, own = os.urandom(30_000), os.urandom(10_000)
    ids = [with_files(spool, shared) for _ in range(5)]
    ids.append(with_files(spool, own, shared, b"small"))
    batch, calls = batch_of_files(spool, *ids)
    mails = batch.next(100)
    assert [attached(mail) for mail in mails] == [[shared]] * 5 + [[own, shared, b"small"]]
    assert calls == [[sha256(shared).hexdigest()], [sha256(own).hexdigest()]]


def test_the_files_of_a_mail_are_read_together(spool: Spool) -> None:
    files = [os.urandom(10_000) for _ in range(3)]
    batch, calls = batch_of_files(spool, with_files(spool, *files))
    assert attached(batch.next(1)[0]) == files
    assert calls == [[sha256(octets).hexdigest() for octets in files]]


def test_a_file_that_is_gone_costs_the_others_nothing(spool: Spool) -> None:
    gone, there = os.urandom(10_000), os.urandom(10_000)
    ids = [with_files(spool, there), with_files(spool, there, gone), with_files(spool, there)]
    spool.client.delete(f"mailworker:blob:{sha256(gone).hexdigest()}")
    batch, _ = batch_of_files(spool, *ids)
    assert [mail.id for mail in batch.next(100)] == [ids[0], ids[2]]
    outcome = batch.attempts[ids[1]].outcome
    assert isinstance(outcome, Failed)
    assert (outcome.reason, outcome.detail) == ("gone", "a file of it is gone from Redis")


@pytest.mark.parametrize("signed", [False, True], ids=["plain", "signed"])
def test_building_a_large_mail_takes_little_more_than_the_mail_and_its_file(
    signed: bool, spool: Spool, tmp_path: Path
) -> None:
    """Of what Python allocates: the file and the mail, or for the signature the mail twice."""
    path = tmp_path / "key.pem"
    path.write_bytes(Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    path.chmod(0o600)
    signers = Signers((Source("example.com", "s", str(path)),)) if signed else None
    author = Author(Mailbox("site@example.com"), signers)
    record = spool.take(OWNER, [with_files(spool, os.urandom(3 * 1024 * 1024))]).records[0]
    compose = Compose(spool, author, Limits(), Files(spool, 0))
    tracemalloc.start()
    try:
        data = compose(record).envelope.data
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(data) > 4 * 1024 * 1024
    assert data.startswith(b"DKIM-Signature:") is signed
    assert peak < 2.2 * len(data)
