"""Serves the inbox's pages on a free port of this machine, to this machine."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from . import page
from .inbox import Inbox

HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


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
    """The inbox as pages, by their paths."""

    def __init__(self, inbox: Inbox) -> None:
        self.inbox = inbox

    def get(self, path: str) -> tuple[int, str]:
        """Status and HTML of a path."""
        mails = self.inbox.mails()
        if path == "/":
            return 200, page.mail_list(mails)
        for mail in mails:
            if path == f"/mails/{mail.number}":
                return 200, page.one_mail(mail)
        return 404, page.no_such_mail()


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
        if host in ("127.0.0.1", "localhost"):
            status, text = self.pages.get(self.path.partition("?")[0])
        else:
            status, text = 421, ""
        content = text.encode("utf-8", "replace")
        self.send_response(status)
        for name, value in HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Nothing: who looks at the demo's inbox is nobody's business."""
