"""Jinja2 as templates of mails are rendered: in its sandbox, from one folder, strict, and bounded.

Imported with the first template, since Jinja2 comes with an extra. Whoever writes the files of the folder is trusted
with mail and with its caller's time, and not with the process: a template cannot reach Python's insides or files. What
each step of one makes is bounded (`template_bounds`), and so is the whole; its time is not.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from types import TracebackType
from typing import Any, Final

from jinja2 import BaseLoader, Environment, StrictUndefined, Template, TemplateNotFound
from jinja2.compiler import CodeGenerator, Frame
from jinja2.exceptions import SecurityError, TemplateSyntaxError
from jinja2.exceptions import TemplateError as JinjaError
from jinja2.nodes import Concat
from jinja2.sandbox import ImmutableSandboxedEnvironment

from ...errors import TemplateError
from . import template_bounds, template_folder
from .template_bounds import LONGEST

_NAMED: Final = re.compile(r"'([^']*)'( object)?|\"([^\"]*)\"|element (\S+)")

# Jinja2 holds locks of its own while it looks for a template. A process that forked meanwhile would find them locked.
_looking: Final = threading.RLock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_looking.acquire, after_in_parent=_looking.release, after_in_child=_looking.release)


class _Folder(BaseLoader):
    def __init__(self, folder: str) -> None:
        self.folder = folder

    def get_source(self, environment: Environment, template: str) -> tuple[str, str, Callable[[], bool]]:
        source = template_folder.read(self.folder, template)
        if source is None:
            raise TemplateNotFound(template)
        return source.text, source.path, lambda: template_folder.stamp(self.folder, template) == source.stamp


class _Generator(CodeGenerator):
    def visit_Concat(self, node: Concat, frame: Frame) -> None:
        """`a ~ b`, which is no operator that can be intercepted."""
        self.write("environment.bounded(")
        super().visit_Concat(node, frame)
        self.write(")")


class _Sandbox(ImmutableSandboxedEnvironment):
    intercepted_binops = frozenset(["+", "*", "**", "%"])
    code_generator_class = _Generator
    concat = staticmethod(template_bounds.joined)
    bounded = staticmethod(template_bounds.bounded)

    def get_template(self, *args: Any, **kwargs: Any) -> Template:
        with _looking:
            return super().get_template(*args, **kwargs)

    def select_template(self, *args: Any, **kwargs: Any) -> Template:
        with _looking:
            return super().select_template(*args, **kwargs)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """These would fill the memory, or keep the processor for hours, in a few steps."""
        template_bounds.check_operator(operator, left, right)
        return super().call_binop(context, operator, left, right)

    def call(*args: Any, **kwargs: Any) -> Any:  # as Jinja2 has it: a template may pass `self=`
        function, *passed = args[2:]
        template_bounds.check_call(function, (*passed, *kwargs.values()))
        return template_bounds.bounded(ImmutableSandboxedEnvironment.call(*args, **kwargs))


@lru_cache(maxsize=32)
def _environment(folder: str, html: bool) -> _Sandbox:
    """All that becomes part of an HTML mail is escaped, whatever its file is called; nothing of a text is."""
    environment = _Sandbox(
        loader=_Folder(folder), autoescape=html, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        keep_trailing_newline=True, cache_size=400,
    )  # fmt: skip
    del environment.globals["lipsum"]
    environment.filters = template_bounds.filters(environment.filters)
    return environment


def render_file(folder: str, name: str, context: Mapping[str, Any]) -> str | None:
    """What a file of the folder makes of the context; None where there is no such file. Raises `TemplateError`."""
    try:
        if template_folder.stamp(folder, name) is None:
            return None
        return _rendered(_environment(folder, name.endswith(".html")).get_template(name), context)
    except TemplateError as error:
        raise TemplateError(f"template: {_place(folder, name, error)}: {error}") from None
    except TemplateSyntaxError as error:
        raise TemplateError(f"template: {error.name or name}, line {error.lineno}: {error.message}") from None
    except (JinjaError, RecursionError) as error:
        raise TemplateError(f"template: {_place(folder, name, error)}: {_said(folder, error)}") from None
    except Exception as error:
        # Of a filter, or of what the caller passed: its text may hold what was passed.
        raise TemplateError(f"template: {_place(folder, name, error)}: {type(error).__name__}") from error


def _rendered(template: Template, context: Mapping[str, Any]) -> str:
    pieces, length = [], 0
    for piece in template.generate(dict(context)):
        length += len(piece)
        if length > LONGEST:
            raise SecurityError("makes more text than a mail can hold")
        pieces.append(piece)
    return "".join(pieces)


def _place(folder: str, name: str, error: BaseException) -> str:
    """The innermost template, and its line."""
    path, line = _innermost(folder, error.__traceback__)
    if not path:
        return name
    return f"{os.path.relpath(path, os.path.realpath(folder))}, line {line}"


def _innermost(folder: str, frames: TracebackType | None) -> tuple[str, int]:
    found, inside = ("", 0), os.path.join(os.path.realpath(folder), "")
    while frames is not None:
        path = frames.tb_frame.f_code.co_filename
        if path.startswith(inside) and path.endswith(template_folder.KINDS):
            found = path, frames.tb_lineno
        frames = frames.tb_next
    return found


def _said(folder: str, error: Exception) -> str:
    """What Jinja2 says, without a value of the context: what stands in the template is a word of its author, and any
    other may be what was passed."""
    if isinstance(error, RecursionError):
        return "includes itself without an end"
    text = (error.message if isinstance(error, JinjaError) else None) or type(error).__name__
    if isinstance(error, TemplateNotFound):
        text = f"there is no '{text}' in MAILWORKER_TEMPLATES"
    source = _source(_innermost(folder, error.__traceback__)[0])
    if all(word in source for word in _named(text)):
        return text
    return "what it asks for by a computed name is not there, or not for templates"


def _named(text: str) -> Iterator[str]:
    """What is named in Jinja2's words, but for types."""
    for name, of_a_type, quoted, element in _NAMED.findall(text):
        if not of_a_type and not name.endswith(" object"):
            yield name or quoted or element


def _source(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except (OSError, UnicodeDecodeError):
        return ""
