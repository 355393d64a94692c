"""The demo's inbox in a real browser: a hostile mail runs nothing and reaches nothing, and its images are seen."""

from __future__ import annotations

import socket
import struct
import subprocess
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from mailworker.demo.inbox import Mail
from mailworker.demo.producer import image
from mailworker.demo.web import Web
from mailworker.mail.address import Mailbox
from mailworker.mail.email import Email
from mailworker.mail.file import File
from mailworker.mail.wire import mime

from ..conftest import need

GREEN = b"\x0b\x6e\x4f"
"""The disc of `producer.image`."""


class Box:
    def __init__(self, *mails: Mail) -> None:
        self._mails = list(mails)

    def mails(self) -> list[Mail]:
        return self._mails


@contextmanager
def canary() -> Iterator[tuple[str, list[str]]]:
    """Its address, and what was asked of it."""
    asked: list[str] = []
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                caller, _ = server.accept()
            except OSError:
                return
            with caller:
                caller.settimeout(1)
                try:
                    asked.append(caller.recv(4096).decode("latin-1").partition("\r\n")[0])
                    caller.sendall(b"HTTP/1.0 404 no\r\n\r\n")
                except OSError:
                    asked.append("")

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.getsockname()[1]}", asked
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join()


def hostile(url: str) -> str:
    reach = "".join(
        f"""<img src="{url}/img{n}" srcset="{url}/set{n} 2x"><iframe src="{url}/frame{n}"></iframe>
        <object data="{url}/object{n}"></object><embed src="{url}/embed{n}"><video src="{url}/v{n}" autoplay></video>
        <table background="{url}/bg{n}"><td style="background:url({url}/css{n})">x</table>
        <svg><image href="{url}/svg{n}"/><script href="{url}/s{n}"></script><use href="{url}/use{n}"/></svg>
        <input type=image src="{url}/input{n}"><link rel=icon href="{url}/icon{n}">"""
        for n in range(2)
    )
    return f"""<!doctype html><html><head><base href="{url}/base/"><link rel=stylesheet href="{url}/sheet">
    <link rel=preconnect href="{url}"><link rel=dns-prefetch href="{url}"><link rel=preload as=image href="{url}/pre">
    <link rel=prerender href="{url}/render"><meta http-equiv=refresh content="0;url={url}/refresh">
    <style>@import "{url}/import";
    @font-face {{ font-family: f; src: url({url}/font) }} body {{ font-family: f }}</style>
    <script src="{url}/js"></script></head><body onload="new Image().src='{url}/onload'">
    <script>top.location = '{url}/top'; new Image().src = '{url}/script'; fetch('{url}/fetch')</script>{reach}
    <img src=x onerror="location='{url}/onerror'"><form action="{url}/form"><button autofocus>x</button></form>
    <img src="cid:logo" style="width:100%"></body></html>"""


def rich(url: str) -> Mail:
    site = Mailbox("site@example.com")
    logo = File("logo.png", "image/png", image(), cid="logo")
    email = Email((Mailbox("ada@example.com"),), b"Hostile", b"text", hostile(url).encode(), inline=(logo,))
    raw = mime.build(email, site, "x@example.com", 0).data
    return Mail(1, datetime.now(UTC), site.address, ("ada@example.com",), raw)


def browse(url: str, shot: Path) -> None:
    command = [
        need("chromium"), "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
        "--disable-background-networking", f"--user-data-dir={shot.parent / 'profile'}", "--window-size=400,700",
        "--virtual-time-budget=3000", f"--screenshot={shot}", url,
    ]  # fmt: skip
    subprocess.run(command, capture_output=True, timeout=60, check=True, cwd=shot.parent)


def pixels(png: bytes) -> bytes:
    """Of an image with eight bits a colour (RFC 2083, 6)."""
    width, height, _, colour = struct.unpack(">IIBB", png[16:26])
    data, at = b"", 8
    while at < len(png):
        length, kind = struct.unpack(">I4s", png[at : at + 8])
        data += png[at + 8 : at + 8 + length] if kind == b"IDAT" else b""
        at += 12 + length
    size = 4 if colour == 6 else 3
    raw, before, rows = zlib.decompress(data), bytearray(width * size), bytearray()
    for y in range(height):
        kind, row = (
            raw[y * (width * size + 1)],
            bytearray(raw[y * (width * size + 1) + 1 : (y + 1) * (width * size + 1)]),
        )
        for x in range(len(row)):
            left = row[x - size] if x >= size else 0
            above, corner = before[x], before[x - size] if x >= size else 0
            guess = left + above - corner
            nearest = min((left, above, corner), key=lambda value: abs(guess - value))
            row[x] = (row[x] + (0, left, above, (left + above) // 2, nearest)[kind]) & 255
        rows += row
        before = row
    return bytes(rows)


def test_a_hostile_mail_is_seen_and_reaches_nothing(tmp_path: Path) -> None:
    with canary() as (url, asked), Web(Box(rich(url))) as web:  # type: ignore[arg-type]
        browse(f"{web.url}mails/1", tmp_path / "page.png")
        assert asked == []
        assert GREEN in pixels((tmp_path / "page.png").read_bytes())

        (tmp_path / "open.html").write_text(hostile(url))
        browse((tmp_path / "open.html").as_uri(), tmp_path / "open.png")
        assert asked, "the mail is not hostile"
