"""The HTML of a mail as the inbox shows it: in a frame of its own that runs nothing and reaches nothing. Pure.

A browser keeps to the headers; what it would reach before it looks at them (`<link rel="preconnect">`) is taken out.
"""

from __future__ import annotations

import base64
import re
from typing import Final
from urllib.parse import unquote

from .content import Content

POLICY: Final = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'self'"
)
"""Of the frame: no script, no origin, no form, no way out; images from the mail itself."""

_TAKEN_OUT: Final = "script,link,meta,base,iframe,frame,frameset,object,embed,portal,template"
_CID: Final = re.compile(r"""(=\s*["']?|url\(\s*(?:["']|&quot;)?)\s*cid:([^"'()\s<>&]+)""", re.IGNORECASE)
_IMAGE: Final = re.compile(r"image/[a-z0-9.+-]+")


def shown(content: Content) -> str:
    """A page of its own, its images in it."""
    from turbohtml import parse  # noqa: PLC0415

    images = {part.cid: part for part in content.parts if part.cid and _IMAGE.fullmatch(part.type)}
    uris: dict[str, str] = {}

    def put(match: re.Match[str]) -> str:
        part = images.get(unquote(match[2]))
        if part is None:
            return match[0]
        if part.cid not in uris:
            uris[part.cid] = f"data:{part.type};base64,{base64.b64encode(part.content).decode()}"
        return match[1] + uris[part.cid]

    return _CID.sub(put, parse(content.html).remove(_TAKEN_OUT).html)
