"""The rows of the benchmark with the mails people send: HTML, signatures, files, and many at once."""

# ruff: noqa: RUF001 - signs of arithmetic, for people to read

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

from .contestants import Contestant, all_contestants
from .payloads import AS_TEXT, MEBIBYTE
from .rows import Options, costs, tell
from .run import Load, Result, backlog, calls
from .stage import Failed, Stage
from .table import Line, Table


@dataclass(frozen=True)
class Entrant:
    """`name` is the line's; `kind` is what it sends."""

    name: str
    contestant: Contestant
    kind: str
    mails: int
    chunking: bool = True


def html(options: Options) -> Table:
    """A text and 50 KB of HTML, against an `EmailMessage` of the same and a warm smtplib connection."""
    everyone = all_contestants()
    ours, loop = everyone["mailworker"], replace(everyone["loop"], rate=120)
    entrants = [
        Entrant("mailworker, text", ours, "text", options.mails),
        Entrant("mailworker, text + HTML", ours, "html", options.mails // 4),
        Entrant("loop, text + HTML", loop, "html", max(100, options.mails // 40)),
    ]
    results = _taking_turns(entrants, options)
    notes = [note for entrant in entrants for note in costs(entrant.name, results[entrant.name])]
    return _table("html", "Mails of new code: a text, and 50 KB of HTML beside it; loopback", results, notes)


def dkim(options: Options) -> Table:
    """Signed text mails, against what the cores could sign if they did nothing else."""
    ours = all_contestants()["mailworker"]
    with tempfile.TemporaryDirectory(prefix="mailworker-bench-keys-") as folder:
        keys = {kind: _key(Path(folder), kind) for kind in ("rsa-2048", "ed25519")}
        entrants = [Entrant("not signed", ours, "text", options.mails)]
        for kind, path in keys.items():
            entrants.append(Entrant(kind, _signing(ours, path), "text", options.mails))
        alone: dict[str, list[float | None]] = {kind: [] for kind in keys}
        results: dict[str, list[Result]] = {}
        for _ in range(options.runs):
            for name, found in _taking_turns(entrants, replace(options, runs=1)).items():
                results.setdefault(name, []).extend(found)
            for kind, path in keys.items():
                alone[kind].append(_signatures(path, 0.5 if options.quick else 2))
    table = _table("dkim", "Text mails that are signed, loopback", results, [])
    lines = [*table.lines, *[Line(f"{kind}, signatures alone", values) for kind, values in alone.items()]]
    notes = [f"The signatures alone: {os.cpu_count()} processes that do nothing else, without Redis and a relay."]
    notes += [_beside(kind, results, alone[kind]) for kind in keys]
    notes += [note for entrant in entrants for note in costs(entrant.name, results[entrant.name])]
    against = ("not signed", *[line.name for line in lines[-2:]])
    return replace(table, lines=lines, against=against, notes=[note for note in notes if note])


def _beside(kind: str, results: Mapping[str, Sequence[Result]], alone: Sequence[float | None]) -> str:
    """Against the time of a mail that is not signed and of one signature, one after the other."""
    shares = [
        signed.rate * (1 / plain.rate + 1 / signatures)
        for signed, plain, signatures in zip(results[kind], results["not signed"], alone, strict=True)
        if signed.rate and plain.rate and signatures
    ]
    if not shares:
        return ""
    return f"{kind}: {median(shares):.2f} × the rate of mails not signed that stand still for one signature each."


def _signing(contestant: Contestant, key: Path) -> Contestant:
    keys = {"MAILWORKER_DKIM_KEYS": f"example.com:bench:{key}"}
    return replace(contestant, environment={**contestant.environment, **keys})


def _key(folder: Path, kind: str) -> Path:
    algorithm = ["RSA", "-pkeyopt", "rsa_keygen_bits:2048"] if kind == "rsa-2048" else ["ED25519"]
    path = folder / f"{kind}.pem"
    command = ["openssl", "genpkey", "-quiet", "-algorithm", *algorithm, "-out", str(path)]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        command.remove("-quiet")
        subprocess.run(command, check=True, capture_output=True)
    path.chmod(0o600)
    return path


def _signatures(path: Path, seconds: float) -> float:
    """A second, of all cores."""
    with Stage() as stage:
        command = [sys.executable, "-m", "benchmarks.workers.signatures", str(path), str(seconds)]
        processes = [(stage.start(command), stage.last_log()) for _ in range(os.cpu_count() or 1)]
        if any([process.wait(seconds * 10 + 30) for process, _ in processes]):
            raise Failed(stage.last_words())
        return sum(float(log.read_text().split()[-1]) for _, log in processes)


def attachment(options: Options) -> Table:
    """A file of 5 MiB, against a text of the same size, and the memory of a child."""
    everyone = all_contestants()
    ours, wide, loop = everyone["mailworker"], everyone["mailworker-w16"], everyone["loop"]
    mails = 20 if options.quick else 60
    with tempfile.TemporaryDirectory(prefix="mailworker-bench-keys-") as folder:
        entrants = [
            Entrant("mailworker, 5 MiB file", ours, "file", mails),
            Entrant("mailworker, a text as large", ours, "long", mails),
            Entrant("mailworker-w16, 5 MiB file", wide, "file", mails),
            Entrant("mailworker-w16, 5 MiB file, DATA", wide, "file", mails, chunking=False),
            Entrant("mailworker, 5 MiB file, signed", _signing(ours, _key(Path(folder), "ed25519")), "file", mails),
            Entrant("loop, 5 MiB file", loop, "file", mails),
        ]
        results = _taking_turns(entrants, options)
    notes = []
    for name, found in results.items():
        peaks = [result.peak / MEBIBYTE for result in found if not result.failure]
        if peaks:
            share = max(peaks) / (AS_TEXT / MEBIBYTE)
            notes.append(f"{name}: the largest process grew by {max(peaks):.1f} MiB at most, {share:.2f} × a mail.")
    table = _table("attachment", "Mails with a file of 5 MiB, each another one, loopback", results, notes)
    lines = [Line(line.name, [_mebibytes(result) for result in results[line.name]], line.note) for line in table.lines]
    against = ("mailworker, a text as large", "loop, 5 MiB file")
    return replace(table, unit="MiB/s", lines=lines, against=against)


def _mebibytes(result: Result) -> float | None:
    return result.octets / MEBIBYTE / result.seconds if not result.failure else None


@dataclass(frozen=True)
class Spooled:
    """What so many calls came to, each mail counted once."""

    rate: float
    memory: float
    """MiB of Redis at the highest, above what it had before."""
    redis: float
    """µs of Redis, a mail."""


def many(options: Options) -> Table:
    """A list of mails is spooled, while no worker runs."""
    mails = 10_000
    found: dict[str, list[Spooled]] = {"text": [], "shared": []}
    for _ in range(options.runs):
        for kind, values in found.items():
            values.append(_spooled(kind, mails))
    names = {"text": "text mails", "shared": "mails with one file of 1 MiB"}
    lines: list[Line] = []
    for title, key in (("mails/s", "rate"), ("MiB of Redis", "memory"), ("µs of Redis a mail", "redis")):
        lines += [Line(f"{names[kind]}: {title}", [getattr(one, key) for one in found[kind]]) for kind in found]
    raw = {kind: [asdict(one) for one in values] for kind, values in found.items()}
    return Table("many", f"`send_email.many`, {mails:,} mails", "see line", lines, raw=raw)


def _spooled(kind: str, mails: int) -> Spooled:
    with Stage() as stage:
        server = stage.redis()
        before = server.client.info("memory")["used_memory"]
        server.client.config_resetstat()
        seconds = calls(stage, {"MAILWORKER_REDIS_URL": server.url}, kind, secrets.token_hex(4), mails)
        spent = sum(one["usec"] for name, one in server.client.info("commandstats").items() if _is_asked(name))
        peak = server.client.info("memory")["used_memory_peak"] - before
        return Spooled(mails / seconds, peak / MEBIBYTE, spent / mails)


def _is_asked(name: str) -> bool:
    """By a client, and not by a script: that is in its own time, too."""
    return name.removeprefix("cmdstat_").partition("|")[0] in ("evalsha", "eval", "set", "get", "mget")


def _taking_turns(entrants: Sequence[Entrant], options: Options) -> dict[str, list[Result]]:
    results: dict[str, list[Result]] = {entrant.name: [] for entrant in entrants}
    for _ in range(options.runs):
        for entrant in entrants:
            manner = replace(options.manner(), chunking=options.chunking and entrant.chunking)
            load = Load(entrant.mails, manner, options.processes, append_only=options.append_only, kind=entrant.kind)
            results[entrant.name].append(tell(backlog(entrant.contestant, load)))
    return results


def _table(name: str, title: str, results: Mapping[str, Sequence[Result]], notes: Sequence[str]) -> Table:
    lines = [
        Line(name, [result.rate or None for result in found], f"{found[0].mails:,} mails")
        for name, found in results.items()
    ]
    raw: dict[str, Any] = {key: [asdict(result) for result in values] for key, values in results.items()}
    return Table(name, title, "mails/s", lines, (lines[-1].name,), notes, raw)
