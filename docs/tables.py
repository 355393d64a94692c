"""Writes the tables of the documents that the code knows: `make docs`. With `--check` it says which are not current.

Each stands between two comments of its document: `<!-- settings REDIS_URL to BROKER_URL -->` or `<!-- reasons -->`, and
`<!-- end -->`.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from mailworker import settings
from mailworker.reasons import REASONS

DOCUMENTS: Final = ("settings.md", "operations.md")
TABLE: Final = re.compile(r"(<!-- (settings|reasons)(?: (\w+) to (\w+))? -->\n).*?(?=<!-- end -->)", re.DOTALL)


def main() -> int:
    """The exit code: 1 where a table was not current and is only to be checked."""
    stale = [path for name in DOCUMENTS if (path := Path(__file__).with_name(name)).read_text() != current(path)]
    for path in stale:
        if "--check" in sys.argv:
            print(f"docs/{path.name} is not current: make docs")
        else:
            path.write_text(current(path))
    return 1 if stale and "--check" in sys.argv else 0


def current(path: Path) -> str:
    """The document with its tables as the code has them."""
    return TABLE.sub(lambda match: match[1] + _table(match[2], match[3], match[4]), path.read_text())


def _table(kind: str, first: str | None, last: str | None) -> str:
    if kind == "reasons":
        head, rows = "| reason | what happened | what to do |\n| --- | --- | --- |", list(_reasons())
    else:
        names = list(settings_by_name())
        rows = [_setting(name) for name in names[names.index(str(first)) : names.index(str(last)) + 1]]
        head = "| setting | default | meaning |\n| --- | --- | --- |"
    return "\n".join([head, *rows]) + "\n"


def _reasons() -> Iterator[str]:
    for code, reason in REASONS.items():
        yield f"| `{code}` | {reason.what_happened} | {reason.what_to_do} |"


def _setting(name: str) -> str:
    field = settings_by_name()[name]
    return f"| `{settings.PREFIX}{name}` | {default_of(name)} | {_meanings()[field]} |"


def settings_by_name() -> dict[str, str]:
    """The fields by the names that stand in the environment, without their prefix."""
    return {"FROM" if field == "sender" else field.upper(): field for field in settings.Settings.model_fields}


def default_of(name: str) -> str:
    """A default as it would stand in the environment; an empty one as it is."""
    default = settings.Settings.model_fields[settings_by_name()[name]].default
    if hasattr(default, "get_secret_value"):
        default = default.get_secret_value()
    if isinstance(default, tuple):
        default = ",".join(str(item) for item in default)
    if isinstance(default, bool):
        default = str(default).lower()
    if isinstance(default, float) and default == int(default):
        default = int(default)
    return f"`{default}`" if default not in (None, "") else "(empty)"


def _meanings() -> dict[str, str]:
    """The sentences below the fields of `Settings`, each as one line."""
    (definition,) = ast.parse(inspect.getsource(settings.Settings)).body
    assert isinstance(definition, ast.ClassDef)
    meanings = {}
    for before, after in zip(definition.body, definition.body[1:], strict=False):
        match before, after:
            case ast.AnnAssign(target=ast.Name(id=field)), ast.Expr(value=ast.Constant(value=str(text))):
                meanings[field] = " ".join(text.split())
    return meanings


if __name__ == "__main__":
    sys.exit(main())
