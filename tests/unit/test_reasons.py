"""The list of reasons has all that the package raises and its scripts write, and no other."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from mailworker.reasons import REASONS

PACKAGE = Path(__file__).parents[2] / "mailworker"
CARRIERS = {"Unsendable", "Failed", "Held", "MailFailed"}
"""What has a reason as its first argument."""
HANDED_ON = re.compile(r"(\w+\.)*reason|\*\w+")
"""A reason that is not made here, or that was given this name where it is chosen."""
CODE = re.compile(r"(?!reason$)[a-z][a-z0-9_]+")
BURY = re.compile(r"(?<!function )\bbury\(\w+, [^,]+, ([^,]+),")
"""The script's act that makes a dead letter: id, state, reason, …"""


def trees() -> Iterator[tuple[Path, ast.Module]]:
    for path in PACKAGE.rglob("*.py"):
        yield path, ast.parse(path.read_text())


def first_arguments() -> Iterator[tuple[str, ast.expr]]:
    for path, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and node.args and ast.unparse(node.func).split(".")[-1] in CARRIERS:
                yield f"{path.relative_to(PACKAGE)}:{node.lineno}", node.args[0]


def chosen() -> Iterator[str]:
    """What is assigned to the name `reason`, alone or beside others."""
    for _, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign) and any("reason" in names(target) for target in node.targets):
                yield from texts(node.value)


def names(target: ast.expr) -> set[str]:
    return {node.id for node in ast.walk(target) if isinstance(node, ast.Name)}


def texts(value: ast.AST) -> Iterator[str]:
    for node in ast.walk(value):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and CODE.fullmatch(node.value):
            yield node.value


def raised() -> set[str]:
    return {text for _, argument in first_arguments() for text in texts(argument)} | set(chosen())


def written() -> set[str]:
    """By the scripts."""
    lua = "\n".join(path.read_text() for path in PACKAGE.rglob("*.lua"))
    reasons = BURY.findall(lua)
    assert reasons
    return {reason.strip("'") for reason in reasons if not HANDED_ON.fullmatch(reason)}


def test_a_reason_is_a_text_or_is_handed_on_under_that_name() -> None:
    for place, argument in first_arguments():
        text = isinstance(argument, ast.Constant)
        assert text or HANDED_ON.fullmatch(ast.unparse(argument)), f"{place}: what reason is that?"


def test_the_list_has_every_reason_and_no_other() -> None:
    assert raised() | written() == REASONS.keys()


def test_the_scripts_write_three_of_their_own() -> None:
    assert written() == {"poison", "in_doubt", "expired"}
