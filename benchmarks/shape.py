"""The shape of a package, as figures: how long its functions are, how its rooms import each other.

`python -m benchmarks.shape` for mailworker; another package's name for that one, where it is installed.
"""

from __future__ import annotations

import ast
import statistics
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import grimp


def main(package: str) -> None:
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        sys.exit(f"{package}: there is no such package here")
    files = sorted(Path(spec.submodule_search_locations[0]).rglob("*.py"))
    lines = [end - begin + 1 for path in files for begin, end in _functions(path)]
    sizes = [len(path.read_text("utf-8").splitlines()) for path in files]
    print(f"{package}: {len(files)} files, {sum(sizes):,} lines, the longest {max(sizes)}")
    print(f"functions: {len(lines):,}, median {statistics.median(lines):.0f} lines, longest {max(lines)}, "
          f"{sum(length > 40 for length in lines)} above 40")  # fmt: skip
    rooms = _rooms(package)
    arrows = sum(len(others) for others in rooms.values())
    floors, circles = _floors(rooms)
    print(f"rooms: {len(rooms)}, arrows between them {arrows}, floors {floors}, rooms in or above a circle {circles}")


def _functions(path: Path) -> Iterator[tuple[int, int]]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.lineno, node.end_lineno or node.lineno


def _rooms(package: str) -> dict[str, set[str]]:
    """Each folder or file at the top of the package, and which others it imports."""
    graph = grimp.build_graph(package, cache_dir=None)
    rooms = {child: set[str]() for child in graph.find_children(package)}
    for room, others in rooms.items():
        for other in rooms.keys() - {room}:
            if graph.direct_import_exists(importer=room, imported=other, as_packages=True):
                others.add(other)
    return rooms


def _floors(rooms: dict[str, set[str]]) -> tuple[int, int]:
    """How many floors there are where each room stands above all that it imports, and how many rooms stand on none."""
    left = {room: set(others) for room, others in rooms.items()}
    floors = 0
    while ground := [room for room, others in left.items() if not others]:
        floors += 1
        for room in ground:
            del left[room]
        for others in left.values():
            others.difference_update(ground)
    return floors, len(left)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "mailworker")
