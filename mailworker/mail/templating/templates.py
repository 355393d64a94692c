"""A mail from a template: `welcome.html`, `welcome.txt` and `welcome.subject` in the folder `MAILWORKER_TEMPLATES`.

It is rendered at the call, so that a mail that was accepted does not change with the next deployment, and errors belong
to the caller. Jinja2 and css-inline come with the extra `mailworker[templates]`, and are imported with the first one.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ...errors import TemplateError
from ...quantities import did_you_mean
from . import template_folder
from .text_of_html import text_of

_DEEPEST: Final = 100
"""Levels of elements. css-inline (0.24) goes down by the processor's stack, and where that ends it ends the process:
at 9,700 levels of the main thread, at 140 of a thread on Alpine. Mails have thirty."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """What a template made. None where there is no file for it, but for the text: that is made from the HTML."""

    subject: str | None
    """One line."""
    text: str | None
    html: str | None
    """Its style sheets are in the elements, too, for readers that leave them out."""


def render(name: Any, context: Any, folder: str | os.PathLike[str] | None) -> Rendered:
    """Raises `TypeError` for what is no name or no context, `TemplateError` for what cannot be rendered: it names file
    and line, and no value of the context."""
    checked, where = _name(name), _folder(name, folder)
    values = _values(context)
    html = _file(where, checked + ".html", values)
    text = _file(where, checked + ".txt", values)
    if html is None and text is None:
        raise TemplateError(_no_such(checked, where))
    html = _inlined(checked, html) if html is not None else None
    if text is None and html is not None:
        text = text_of(html) or None
    subject = _file(where, checked + ".subject", values)
    return Rendered(" ".join(subject.split()) if subject is not None else None, text, html)


def _file(folder: str, name: str, context: Mapping[str, Any]) -> str | None:
    try:
        from .template_sandbox import render_file  # noqa: PLC0415 - comes with an extra, and takes a moment
    except ImportError:
        raise TemplateError("template: needs Jinja2: pip install 'mailworker[templates]'") from None
    return render_file(folder, name, context)


def _name(name: Any) -> str:
    if not isinstance(name, str):
        raise TypeError(f"template: expected a name as 'welcome', got {type(name).__name__}")
    for kind in template_folder.KINDS:
        if name.endswith(kind):
            raise TemplateError(f"template: {name!r}: leave out {kind}: each file of the name is taken that is there")
    try:
        return template_folder.check_name(name)
    except TemplateError as error:
        raise TemplateError(f"template: {error}") from None


def _folder(name: str, folder: str | os.PathLike[str] | None) -> str:
    if not folder:
        raise TemplateError(f"template: set MAILWORKER_TEMPLATES: the folder that holds {name}.html or {name}.txt")
    if not Path(folder).is_dir():
        raise TemplateError(f"template: MAILWORKER_TEMPLATES: there is no folder {os.fspath(folder)}")
    return os.path.abspath(folder)


def _values(context: Any) -> Mapping[str, Any]:
    if context is None:
        return {}
    if not isinstance(context, Mapping):
        raise TypeError(f"context: expected a dict, got {type(context).__name__}")
    for key in context:
        if not isinstance(key, str):
            raise TypeError(f"context: expected names as keys, got {type(key).__name__}")
    return context


def _no_such(name: str, folder: str) -> str:
    near = did_you_mean(name, template_folder.names(folder))
    return f"template: there is neither {name}.html nor {name}.txt in MAILWORKER_TEMPLATES{near}"


def _inlined(name: str, html: str) -> str:
    """With its own style sheets in the elements. Nothing is fetched: no `<link>`, no `@import`, no file."""
    if "<style" not in html.lower():
        return html
    try:
        from css_inline import CSSInliner, InlineError  # noqa: PLC0415 - comes with an extra
    except ImportError:
        raise TemplateError("template: needs css-inline: pip install 'mailworker[templates]'") from None
    _check_depth(name, html)
    # The sheets stay as well, for what cannot be inlined: media queries, `a:hover`, a font.
    inliner = CSSInliner(load_remote_stylesheets=False, keep_style_tags=True, keep_link_tags=True)
    try:
        return inliner.inline(html)
    except UnicodeEncodeError:
        raise TemplateError(f"template: {name}.html: holds a lone surrogate, which is not text") from None
    except (InlineError, ValueError) as error:
        raise TemplateError(f"template: {name}.html: its styles cannot be read: {type(error).__name__}") from None


def _check_depth(name: str, html: str) -> None:
    from turbohtml import parse  # noqa: PLC0415 - see `text_of_html`

    if parse(html).select_one(" > ".join("*" * (_DEEPEST + 1))) is not None:
        raise TemplateError(f"template: {name}.html: elements are nested deeper than {_DEEPEST} levels")
