"""Nobody is taken for dead without a proof, and a proof holds where process ids mean the same to both sides."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mailworker.spool import machine, owner
from mailworker.spool.machine import Member

BOOT = "0c1f2a3b-4d5e-6f70-8192-a3b4c5d6e7f8"


def proc(folder: Path, boot: str = BOOT, spaces: tuple[str, ...] = ("pid", "time")) -> Path:
    """A /proc that says who we are; two of them have different inodes for each name space."""
    (folder / "sys/kernel/random").mkdir(parents=True)
    (folder / "sys/kernel/random/boot_id").write_text(boot + "\n")
    (folder / str(os.getpid()) / "ns").mkdir(parents=True)
    for kind in spaces:
        (folder / str(os.getpid()) / "ns" / kind).touch()
    (folder / "self").symlink_to(str(os.getpid()))
    return folder


def stat(folder: Path, process: int, state: str, started: int, name: str = "celery) S (") -> None:
    (folder / str(process)).mkdir(exist_ok=True)
    fields = " ".join(["0"] * 18)
    (folder / str(process) / "stat").write_text(f"{process} ({name}) {state} {fields} {started} 0 0\n")


def test_the_initial_name_space_of_two_machines_has_one_inode_and_their_boots_two_ids(tmp_path: Path) -> None:
    """Cloned images have the same machine id, too; a boot id is drawn at each boot."""
    first = proc(tmp_path / "first")
    other = proc(tmp_path / "other", boot="ffffffff-4d5e-6f70-8192-a3b4c5d6e7f8")
    for kind in ("pid", "time"):
        (other / "self/ns" / kind).unlink()
        os.link(first / "self/ns" / kind, other / "self/ns" / kind)
    assert machine.space(first) != machine.space(other)


@pytest.mark.parametrize("kind", ["pid", "time"])
def test_two_containers_of_one_host_have_one_boot_id_and_two_name_spaces(tmp_path: Path, kind: str) -> None:
    first, other = proc(tmp_path / "first"), proc(tmp_path / "other")
    same = "time" if kind == "pid" else "pid"
    (other / "self/ns" / same).unlink()
    os.link(first / "self/ns" / same, other / "self/ns" / same)
    assert machine.space(first) != machine.space(other)


@pytest.mark.parametrize("missing", ["sys/kernel/random/boot_id", "self/ns/pid"])
def test_where_nobody_can_tell_there_is_no_space_and_no_proof(tmp_path: Path, missing: str) -> None:
    folder = proc(tmp_path)
    (folder / missing).unlink()
    assert machine.space(folder) == ""
    dead = "host::999999:1-abc/999999.1.0"
    assert not owner.gone(dead, "")
    assert not owner.alive(dead, "")


def ended() -> int:
    """A process id that was somebody's."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.mark.parametrize(
    ("state", "started", "is_gone"),
    [("S", 700, False), ("T", 700, False), ("D", 700, False), ("Z", 700, True), ("X", 700, True), ("S", 701, True)],
)
def test_a_zombie_and_another_process_with_the_same_id_are_proofs(
    tmp_path: Path, state: str, started: int, is_gone: bool
) -> None:
    folder = proc(tmp_path)
    stat(folder, os.getppid(), state, started)
    assert machine.gone(Member(os.getppid(), "700"), folder) is is_gone


def test_no_such_process_is_a_proof_without_any_proc(tmp_path: Path) -> None:
    assert machine.gone(Member(ended(), ""), tmp_path)


def test_what_cannot_be_looked_at_is_no_proof(tmp_path: Path) -> None:
    """`hidepid` hides another user's processes; a /proc may be that of the name space above."""
    hidden = proc(tmp_path / "hidden")
    assert not machine.gone(Member(os.getppid(), "700"), hidden)
    above = proc(tmp_path / "above")
    stat(above, os.getppid(), "Z", 1)
    (above / "self").unlink()
    (above / "self").symlink_to("1")
    assert not machine.gone(Member(os.getppid(), "700"), above)
    assert machine.started(os.getppid(), above) == ""


def test_a_process_of_another_user_is_not_gone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(process: int, number: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "kill", refuse)
    assert not machine.gone(Member(1, "1"), tmp_path)


def test_a_name_tells_what_it_was_made_of() -> None:
    worker = owner.name_worker("a:host/name")
    slot = owner.name_slot(worker, 3)
    space = machine.space()
    for name in (worker, slot):
        assert owner.worker_of(name) == worker
        assert owner.space_of(name) == space
        assert owner.member_of(name) == machine.itself()
        assert owner.alive(name, space)
        assert not owner.gone(name, space)


@pytest.mark.parametrize("name", ["", "/", "a", "host:4026531836:77", "host:4026531836:x:abc", "w/x.1", "host:1:2:3/"])
def test_a_name_that_is_no_owner_s_proves_nothing(name: str) -> None:
    assert not owner.gone(name, machine.space())
    assert not owner.alive(name, machine.space())


def test_the_same_process_on_another_machine_is_never_judged() -> None:
    mine = owner.name_worker("host")
    theirs = mine.replace(machine.space(), "another.1.2").replace(f":{os.getpid()}:", f":{ended()}:")
    assert not owner.gone(theirs, machine.space())
    assert owner.gone(mine.replace(f":{os.getpid()}:", f":{ended()}:"), machine.space())
