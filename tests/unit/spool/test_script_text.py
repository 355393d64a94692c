"""The scripts, as they are sent to Redis, should be Lua without a slip: names are declared once, and each is used."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from mailworker.spool import script_text
from mailworker.spool.constants import Constants
from mailworker.spool.scripts import ALL, WITH_LISTS, name_of
from tests.lua_scopes import Check

REDIS = (
    "ARGV", "KEYS", "cjson", "ipairs", "math", "pairs", "redis", "string", "table", "tonumber", "tostring",
    "type", "unpack",
)  # fmt: skip
"""What Redis lets a script use, as far as ours do."""

ROOT = Path(__file__).parents[3]
TEXTS = {script: sent.text for script, sent in script_text.scripts("site's:", Constants(("default",))).items()}


@pytest.mark.parametrize("script", ALL, ids=name_of)
def test_each_name_of_a_script_is_declared_once_and_used(script: Any) -> None:
    assert Check(REDIS).script(TEXTS[script]) == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("return bceome(1)", "bceome is not declared"),
        ("count = 1", "count is not declared"),
        ("local a = 1", "a is not used"),
        ("local function f() end", "f is not used"),
        ("local a = 1\nlocal function f(a) return a end\nreturn f(a)", "a hides another"),
        ("local a = 1\nfor _, a in ipairs(KEYS) do return a end\nreturn a", "a hides another"),
        ("do local a = 1 end\nreturn a", "a is not declared"),
        ("local a = {b = 1}\nreturn a.c, a[d]", "d is not declared"),
        ("local a = 1\nrepeat local b = 2 until b == a or c", "c is not declared"),
    ],
)
def test_a_slip_is_found(text: str, fault: str) -> None:
    assert fault in Check(REDIS).script(text)


def test_what_is_no_lua_is_refused() -> None:
    with pytest.raises(Exception, match=r".+"):
        Check(REDIS).script("if then")


def test_luacheck_has_nothing_to_say(tmp_path: Path) -> None:
    program = shutil.which("luacheck")
    if program is None:
        if os.environ.get("CI"):
            pytest.fail("luacheck is missing: the package lua-check has it")
        pytest.skip("luacheck is not installed; the checks above are")
    for script, text in TEXTS.items():
        (tmp_path / f"{name_of(script)}.lua").write_text(text)
    command = [program, "--no-color", "--codes", "--config", str(ROOT / ".luacheckrc"), str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stdout


def test_no_function_or_constant_of_a_library_has_a_second_one_of_its_name() -> None:
    names = [name for defined, _, _ in script_text._blocks() for name in defined]
    assert sorted(names) == sorted(set(names))


def test_each_function_of_a_library_is_sent_with_a_script() -> None:
    sent = script_text._words("\n".join(TEXTS.values()))
    assert [names for names, _, _ in script_text._blocks() if not names & sent] == []


def test_no_line_of_a_script_is_too_long() -> None:
    for path in (ROOT / "mailworker" / "spool" / "lua").rglob("*.lua"):
        assert [line for line in path.read_text().splitlines() if len(line) > 120] == [], path.name


def test_a_constant_in_a_text_or_a_comment_stays() -> None:
    assert script_text._with_values("f('DUE', DUE) -- DUE", {"DUE": "'d'"}) == "f('DUE', 'd') -- DUE"


@pytest.mark.parametrize("script", ALL, ids=name_of)
def test_a_script_begins_with_what_it_is_given(script: Any) -> None:
    given = [*script._fields, *(["lists"] if script in WITH_LISTS else [])]
    text = (ROOT / "mailworker" / "spool" / "lua" / f"{name_of(script)}.lua").read_text()
    assert text.startswith(f"-- Given: {', '.join(given) or 'nothing'}.\n")


def test_a_relays_keys_are_named_in_its_libraries_alone() -> None:
    """But for the migration, and the wing's own reader in Python."""
    folder = ROOT / "mailworker" / "spool" / "lua"
    keys = {"RELAY", "PROBE", "LIMIT", "PLACES", "REFUSED", "REFUSED_IDS"}
    found = {path.name for path in folder.rglob("*.lua") if keys & script_text._words(path.read_text())}
    assert found == {"relay_gate.lua", "places.lua", "migrate.lua"}


def test_a_state_is_written_and_a_mail_deleted_in_one_library_alone() -> None:
    folder = ROOT / "mailworker" / "spool" / "lua"
    act = re.compile(r"'HSET', [^\n]*'state'|'DEL', MAIL\b")
    assert {path.name for path in folder.rglob("*.lua") if act.search(path.read_text())} == {"state.lua"}
