"""A script's arguments should be what its Python signature says: by name and by type, at the call and in Lua."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from mailworker.smtp import refusals
from mailworker.spool import script_text, scripts
from mailworker.spool.constants import Constants
from mailworker.spool.keys import Key, Keys


def test_each_script_has_its_signature_and_each_signature_its_script() -> None:
    folder = files("mailworker.spool").joinpath("lua")
    found = {file.name for file in folder.iterdir() if file.name.endswith(".lua")}
    assert found == {f"{scripts.name_of(script)}.lua" for script in scripts.ALL}


@pytest.mark.parametrize(
    "arguments", [{"owner": "w"}, {"owner": "w", "died": True, "why": "?"}, {"owner": "w", "dead": 1}]
)
def test_an_argument_that_is_missing_or_unknown_is_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        scripts.Release(**arguments)


def test_a_wrong_argument_is_refused_before_anything_is_run(tmp_path: Path) -> None:
    calls = ("Release('w')", "Release('w', True, why=1)", "Release(owner='w', died='no')", "Drop(ids=[1])")
    code = "from mailworker.spool import scripts\n" + "".join(f"scripts.{call}\n" for call in calls)
    (tmp_path / "calls.py").write_text(code)
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file", os.devnull, str(tmp_path / "calls.py")]
    result = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    lines = re.findall(r"calls\.py:(\d+): error: ", result.stdout)
    assert lines == [str(number) for number in range(2, 2 + len(calls))], result.stdout


def test_a_type_that_lua_has_not_is_refused_at_the_start() -> None:
    class Wrong(NamedTuple):
        delay: float

    with pytest.raises(TypeError, match=r"Wrong\.delay"):
        script_text._arguments(Wrong)


def test_arguments_travel_in_the_order_of_their_names_with_lists_behind() -> None:
    arguments = scripts.Settle("relay", "w/1", ["a", "b"], (), ["{}"], end_of_batch=True)
    assert script_text.encode(arguments) == ["relay", "w/1", 2, 0, 1, b"1", "a", "b", "{}"]


def test_a_text_of_another_class_is_no_list() -> None:
    assert script_text.encode(scripts.Look(Key.DUE)) == ["due"]


class Both(NamedTuple):
    first: Sequence[str]
    number: int
    second: Sequence[bytes]


def test_a_list_begins_behind_those_before_it() -> None:
    assert script_text._arguments(Both) == (
        "local first = list_of(5, tonumber(ARGV[2]))\n"
        "local number = tonumber(ARGV[3])\n"
        "local second = list_of(5 + ARGV[2], tonumber(ARGV[4]))\n"
    )


def test_what_never_changes_in_a_process_is_a_constant_of_its_scripts() -> None:
    constants = Constants(batch=7, in_doubt="hold", largest=8, relays=("one", "two"))
    values = constants.as_lua(script_text._literal)
    assert values["BATCH"] == "7"
    assert values["IN_DOUBT"] == "'hold'"
    assert values["LARGEST"] == "8"
    assert values["RELAYS"] == "{'one', 'two'}"


@pytest.mark.parametrize(
    ("value", "literal"), [("{site}:e", "'{site}:e'"), ("a'b\\", "'a\\039b\\092'"), ("ü", "'\\195\\188'")]
)
def test_no_character_of_a_prefix_can_end_its_text_in_lua(value: str, literal: str) -> None:
    assert script_text._literal(value) == literal


def test_a_name_of_a_key_or_a_constant_is_replaced_by_what_it_stands_for() -> None:
    texts = script_text.scripts("site:", Constants(("default",), batch=77))
    assert "redis.call('ZREM', 'site:dead', id)" in texts[scripts.Drop].text
    assert "rung" not in texts[scripts.Drop].text
    assert "children() * 77" in texts[scripts.Accept].text
    assert "local RELAYS = {'default'}\n" in texts[scripts.Beat].text


def test_what_the_spool_and_the_session_both_know_is_the_same() -> None:
    assert Constants(()).certain_refusals == refusals.CERTAIN


def test_a_key_is_the_prefix_its_name_and_whose_it_is() -> None:
    keys = Keys("site:")
    assert keys(Key.DUE) == "site:due"
    assert keys(Key.RELAY, "default") == "site:relay:default"
