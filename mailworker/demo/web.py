"""Serves the inbox's pages and the files of its mails on a free port of this machine, to this machine."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, Self
from urllib.parse import quote

from . import page, shown_html
from .content import Part
from .inbox import Inbox, Mail

_EVERYWHERE: Final[Mapping[str, str]] = {
    "X-Content-Type-Options": "nosniff",
    "X-DNS-Prefetch-Control": "off",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_PAGE: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
_NOTHING: Final = "sandbox; default-src 'none'; frame-ancestors 'none'"
_HTML: Final = "text/html; charset=utf-8"
_PATH: Final = re.compile(r"/mails/([0-9]{1,9})(?:/(html)|/files/([0-9]{1,4}))?")


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent back."""

    status: int
    content: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


class Web:
    """Runs in threads of its own between `with` and its end."""

    def __init__(self, inbox: Inbox) -> None:
        class Handler(_Handler):
            pages = Pages(inbox)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="web", daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class Pages:
    """The inbox as pages and files, by their paths."""

    def __init__(self, inbox: Inbox) -> None:
        self.inbox = inbox

    def get(self, path: str) -> Answer:
        """The answer to a path."""
        mails = self.inbox.mails()
        if path == "/":
            return _page(page.mail_list(mails))
        found = _PATH.fullmatch(path)
        mail = next((mail for mail in mails if found and mail.number == int(found[1])), None)
        if found is None or mail is None or (found[2] and not mail.content.html):
            return _page(page.no_such_mail(), 404)
        if found[2]:
            return _page(shown_html.shown(mail.content), policy=shown_html.POLICY)
        return _file(mail, int(found[3])) if found[3] else _page(page.one_mail(mail))


def _page(text: str, status: int = 200, policy: str = _PAGE) -> Answer:
    headers = {"Content-Type": _HTML, "Content-Security-Policy": policy}
    return Answer(status, text.encode("utf-8", "replace"), headers)


def _file(mail: Mail, number: int) -> Answer:
    """To be saved, and never to be shown: whatever it says that it is."""
    parts = mail.content.parts
    if not 1 <= number <= len(parts):
        return _page(page.no_such_mail(), 404)
    part = parts[number - 1]
    headers = {
        "Content-Type": "application/octet-stream",
        "Content-Disposition": _disposition(part),
        "Content-Security-Policy": _NOTHING,
    }
    return Answer(200, part.content, headers)


def _disposition(part: Part) -> str:
    """RFC 6266. The name has no quotes, see `content.safe_name`."""
    plain = part.name.encode("ascii", "replace").decode().replace("?", "_").replace("%", "_")
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(part.name, safe='')}"


class _Handler(BaseHTTPRequestHandler):
    pages: Pages
    server_version = "mailworker"
    sys_version = ""
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 30

    def do_GET(self) -> None:
        # A page elsewhere may have its host name resolve to this machine: such a name is not ours.
        host = (self.headers["Host"] or "").rpartition(":")[0]
        ours = host in ("127.0.0.1", "localhost")
        answer = self.pages.get(self.path.partition("?")[0]) if ours else Answer(421)
        self.send_response(answer.status)
        for name, value in {**_EVERYWHERE, **answer.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.content)))
        self.end_headers()
        self.wfile.write(answer.content)

    def log_message(self, *_: Any) -> None:
        """Nothing: who looks at the demo's inbox is nobody's business."""
