"""Writes the tables of the documents that the code knows: `make docs`. With `--check` it says which are not current.

Each stands between two comments of its document: `<!-- settings REDIS_URL to BROKER_URL -->`, `<!-- reasons -->`,
`<!-- files of mail -->` or `<!-- scripts -->`, and `<!-- end -->`.
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
from mailworker.spool.scripts import ALL, name_of

DOCUMENTS: Final = ("settings.md", "operations.md", "rooms.md")
PACKAGE: Final = Path(__file__).parents[1] / "mailworker"
MARK: Final = r"<!-- (?:settings (\w+) to (\w+)|(reasons)|files of ([\w/]+)|(scripts)) -->"
TABLE: Final = re.compile(rf"({MARK}\n).*?(?=<!-- end -->)", re.DOTALL)


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
    return TABLE.sub(lambda match: match[1] + _table(*match.groups()[1:]), path.read_text())


def _table(first: str | None, last: str | None, reasons: str | None, room: str | None, scripts: str | None) -> str:
    head: tuple[str, ...]
    if reasons:
        head, rows = ("reason", "what happened", "what to do"), list(_reasons())
    elif room:
        head, rows = ("file", "what it is"), list(_files(room))
    elif scripts:
        head, rows = ("script", "what it does"), list(_scripts())
    else:
        names = list(settings_by_name())
        between = names[names.index(str(first)) : names.index(str(last)) + 1]
        head, rows = ("setting", "default", "meaning"), [_setting(name) for name in between]
    return "\n".join([f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}", *rows]) + "\n"


def _files(room: str) -> Iterator[str]:
    """The first paragraph of each file's docstring. The top of the package is the room `mailworker`."""
    folder = PACKAGE if room == "mailworker" else PACKAGE / room
    for path in sorted(folder.glob("*.py")):
        text = ast.get_docstring(ast.parse(path.read_text())) or ""
        if path.name != "__init__.py" and not path.is_symlink():
            yield f"| `{path.name}` | {_line(text)} |"


def _scripts() -> Iterator[str]:
    for script in ALL:
        yield f"| `{name_of(script)}.lua` | {_line(inspect.getdoc(script) or '')} |"


def _line(text: str) -> str:
    """The first paragraph, as one line of a table."""
    return " ".join(text.partition("\n\n")[0].split()).replace("|", "\\|")


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
