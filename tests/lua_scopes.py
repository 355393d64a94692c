"""What Lua tells only when a line is run, or never: names that nobody declared, that nobody uses, that hide another."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from luaparser import ast, astnodes


@dataclass
class Scope:
    """The names of one block, and whether each was used."""

    used: dict[str, bool] = field(default_factory=dict)


class Check:
    """Walks a script in the order in which it is written. `found` are the faults, for people."""

    def __init__(self, known: Iterable[str]) -> None:
        self.known = frozenset(known)
        self.scopes: list[Scope] = [Scope()]
        self.found: list[str] = []

    def script(self, text: str) -> list[str]:
        """Raises luaparser's error for what is no Lua."""
        self.block(ast.parse(text).body.body, self.scopes[0])
        return self.found

    def block(self, nodes: Sequence[Any], scope: Scope) -> None:
        for node in nodes:
            self.visit(node)
        self.found += [f"{name} is not used" for name, used in scope.used.items() if not used]

    def inner(self, nodes: Sequence[Any], names: Iterable[Any] = ()) -> None:
        scope = Scope()
        self.scopes.append(scope)
        for name in names:
            self.declare(name)
        self.block(nodes, scope)
        self.scopes.pop()

    def declare(self, target: Any) -> None:
        if not isinstance(target, astnodes.Name):  # `...`
            return
        if target.id != "_":
            if any(target.id in scope.used for scope in self.scopes):
                self.found.append(f"{target.id} hides another")
            self.scopes[-1].used[target.id] = False

    def name(self, name: str) -> None:
        for scope in reversed(self.scopes):
            if name in scope.used:
                scope.used[name] = True
                return
        if name not in self.known:
            self.found.append(f"{name} is not declared")

    def visit(self, node: Any) -> None:  # noqa: C901, PLR0912 - a case for each kind of node
        match node:
            case astnodes.Name():
                self.name(node.id)
            case astnodes.LocalAssign():
                self.visit_all(node.values)
                for target in node.targets:
                    self.declare(target)
            case astnodes.Assign():
                self.visit_all(node.values)
                for target in node.targets:
                    if isinstance(target, astnodes.Name):  # to write is not to use
                        if not any(target.id in scope.used for scope in self.scopes):
                            self.found.append(f"{target.id} is not declared")
                    else:
                        self.visit(target)
            case astnodes.LocalFunction():
                self.declare(node.name)
                self.inner(node.body.body, node.args)
            case astnodes.AnonymousFunction():
                self.inner(node.body.body, node.args)
            case astnodes.Fornum():
                self.visit_all([node.start, node.stop, node.step])
                self.inner(node.body.body, [node.target])
            case astnodes.Forin():
                self.visit_all(node.iter)
                self.inner(node.body.body, node.targets)
            case astnodes.Repeat():
                self.inner([*node.body.body, node.test])
            case astnodes.Block():
                self.inner(node.body)
            case astnodes.Index(notation=astnodes.IndexNotation.DOT):
                self.visit(node.value)
            case astnodes.Invoke():
                self.visit_all([node.source, *node.args])
            case astnodes.Field(key=astnodes.Name(), between_brackets=False):
                self.visit(node.value)
            case astnodes.Node():
                self.visit_all(
                    value for name, value in vars(node).items() if not name.startswith("_") and name != "comments"
                )

    def visit_all(self, nodes: Iterable[Any]) -> None:
        for node in nodes:
            if isinstance(node, list):
                self.visit_all(node)
            else:
                self.visit(node)
