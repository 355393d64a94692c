"""A text of an HTML mail, for readers that show no HTML. turbohtml reads and lays out; what is different in a mail is
prepared here. Pure.

Of a mail nobody must lose the link: its URL stands behind its words, in angle brackets (RFC 3986, appendix C). A mail's
tables mostly are its layout, and what is hidden (a line for the preview of the inbox) is not meant to be read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from turbohtml import Document, Element

_NEVER_SHOWN: Final = "head,script,style,template,[hidden]"
_HIDDEN: Final = re.compile(r"(?:^|;)(?:display:none|visibility:hidden|(?:opacity|max-height):0(?:px)?(?:[;!]|$))")
_COMMENT: Final = re.compile(r"/\*.*?(?:\*/|\Z)", re.DOTALL)
_SELECTORS: Final = 100
_PLAIN_SELECTOR: Final = re.compile(r"[a-z]*[.#][A-Za-z_][\w-]*")
_BLOCKS: Final = frozenset([
    "address", "article", "aside", "blockquote", "center", "dd", "details", "div", "dl", "dt", "fieldset", "figure",
    "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "li", "main", "nav", "ol", "p", "pre",
    "section", "table", "ul",
])  # fmt: skip
_OF_A_TABLE: Final = frozenset(["caption", "tbody", "td", "tfoot", "th", "thead", "tr"])
_NO_LINK: Final = frozenset(("javascript", "vbscript", "data", "cid"))
_LINE: Final = "-" * 20

# A grid is padded to its widest cell: that of a stranger's table must not fill the memory.
_CELL: Final = 60
_COLUMNS: Final = 8
_SPANS: Final = frozenset(map(str, range(1, _COLUMNS + 1)))

_UNSEEN: Final = dict.fromkeys([*range(0x09), 0x0B, 0x0C, *range(0x0E, 0x20), 0x7F, 0xAD, 0x34F, 0x200B, 0xFEFF])
"""Control characters, soft hyphens, and what fills the preview of an inbox."""


def text_of(html: str) -> str:
    """Lines that end in a newline; empty where the HTML has no words. Takes HTML as browsers do: nothing is an error,
    and neither size nor depth of it costs more than in proportion."""
    from turbohtml import PlainText, parse  # noqa: PLC0415 - a mail with a text of its own pays nothing

    tree = parse(html)
    _leave_out_hidden(tree)
    _write_out_links(tree)
    _write_out_lines(tree)
    _put_marks_before_words(tree)
    _spread_layout(tree)
    return _tidy(tree.to_text(PlainText(images=True)))


def _tidy(text: str) -> str:
    lines = text.translate(_UNSEEN).replace("\xa0", " ").split("\n")
    text = re.sub(r"\n{3,}", "\n\n", "\n".join([line.rstrip() for line in lines])).strip("\n")
    return f"{text}\n" if text else ""


def _leave_out_hidden(tree: Document) -> None:
    tree.remove(",".join([_NEVER_SHOWN, *sorted(set(islice(_hidden_by_style(tree), _SELECTORS)))]))
    for element in tree.select("[style]"):
        if _HIDDEN.search(_packed(element.attr("style") or "")):
            element.decompose()


def _hidden_by_style(tree: Document) -> Iterator[str]:
    """`.preheader` where a rule of the mail itself, for every screen, hides it."""
    for style in tree.select("style"):
        depth = 0
        for rule in _COMMENT.sub("", style.text).split("}"):
            selectors, _, declarations = rule.partition("{")
            if depth == 0 and "{" not in declarations and _HIDDEN.search(_packed(declarations)):
                yield from filter(_PLAIN_SELECTOR.fullmatch, map(str.strip, selectors.split(",")))
            depth = max(0, depth + rule.count("{") - 1)  # inside of @media


def _packed(declarations: str) -> str:
    return "".join(declarations.split()).lower()


def _write_out_links(tree: Document) -> None:
    from turbohtml import Text  # noqa: PLC0415

    for link in tree.select("a[href]"):
        url = _url(link.attr("href") or "")
        if url and not _says(link, url):
            link.append(Text(f" <{url}>"))


def _url(href: str) -> str:
    """What a reader can do something with, without blanks; empty for a place in the page, a script, an image."""
    url = "".join(href.strip().splitlines()).replace("\t", "")
    scheme, colon, rest = url.partition(":")
    if not url or url[0] in "#?." or (url[0] == "/" and url[:2] != "//") or scheme.lower() in _NO_LINK:
        return ""
    if colon and scheme.lower() in ("mailto", "tel", "sms"):
        return rest.partition("?")[0].replace("%20", "").replace(" ", "")
    return ("https:" if url[0] == "/" else "") + url.replace(" ", "%20")


def _says(link: Element, url: str) -> bool:
    """Are the words of the link the URL already?"""
    words = link.text.strip() if len(link.children) == 1 else ""
    return words.rstrip("/") in (url.rstrip("/"), re.sub(r"^https?://(?:www\.)?", "", url).rstrip("/"))


def _write_out_lines(tree: Document) -> None:
    from turbohtml import Element, Text  # noqa: PLC0415

    for line in tree.select("hr"):
        line.replace_with(Element("p", children=[Text(_LINE)]))


def _put_marks_before_words(tree: Document) -> None:
    """A paragraph that begins an item of a list would leave its mark alone on a line."""
    from turbohtml import Text  # noqa: PLC0415

    for paragraph in tree.select("li > p:first-child, li > div:first-child"):
        before = paragraph.previous_sibling
        if before is None or (isinstance(before, Text) and not before.data.strip()):
            paragraph.tag = "span"


@dataclass(slots=True)
class _Table:
    element: Element
    parts: list[Element] = field(default_factory=list)
    layout: bool = False

    @property
    def is_grid(self) -> bool:
        """Short cells of words, several in a row: they are read side by side. Everything else one after the other."""
        if self.layout:
            return False
        rows = [len(part.children) for part in self.parts if part.tag == "tr"]
        cells = [part for part in self.parts if part.tag in ("td", "th")]
        return len(cells) > len(rows) and len(cells) <= len(rows) * _COLUMNS and all(map(_fits, cells))

    def spread(self) -> None:
        for part in (*self.parts, self.element):
            part.tag = "div"


def _fits(cell: Element) -> bool:
    spans = (cell.attr("colspan") or "1", cell.attr("rowspan") or "1")
    return len(cell.text) <= _CELL and _SPANS.issuperset(spans)


def _spread_layout(tree: Document) -> None:
    """Tables that are no table of words become blocks."""
    open_tables: list[_Table] = []
    for element, ends in _elements(tree):
        if ends:
            if element.tag == "table" and open_tables and open_tables[-1].element is element:
                table = open_tables.pop()
                if not table.is_grid:
                    table.spread()
        elif open_tables and element.tag in _OF_A_TABLE:
            open_tables[-1].parts.append(element)
        elif element.tag in _BLOCKS:
            if open_tables:
                open_tables[-1].layout = True
            if element.tag == "table":
                open_tables.append(_Table(element))


def _elements(tree: Document) -> Iterator[tuple[Element, bool]]:
    """Each element at its begin and at its end. By a stack of its own: a tree may be deeper than Python's."""
    from turbohtml import Element  # noqa: PLC0415

    if tree.select_one("table") is None:
        return
    path: list[Element] = []
    below = [iter(tree.children)]
    while below:
        node = next(below[-1], None)
        if node is None:
            below.pop()
            if path:
                yield path.pop(), True
        elif isinstance(node, Element):
            yield node, False
            path.append(node)
            below.append(iter(node.children))
