"""The demo's own program that sends mail, as new code does: a text, and a mail with HTML, an image and a file."""

from __future__ import annotations

import struct
import zlib
from typing import Final

TEXT_SUBJECT: Final = "Sent with send_email.delay()"
RICH_SUBJECT: Final = "With HTML, an image and a file"

HTML: Final = """\
<!doctype html>
<html>
<body style="margin: 0; padding: 24px; font: 16px/1.5 sans-serif; color: #1c2024">
  <img src="cid:logo" alt="mailworker" width="48" height="48">
  <h1 style="font-size: 22px">Your order is on its way</h1>
  <p>Hello Grace,<br>here is what you ordered:</p>
  <table style="border-collapse: collapse">
    <tr><th align="left">Item</th><th align="right">Price</th></tr>
    <tr><td>COBOL in 24 hours</td><td align="right">&nbsp; 24.00 €</td></tr>
    <tr><td>A nanosecond of wire</td><td align="right">&nbsp; 0.30 €</td></tr>
  </table>
  <p><a href="https://example.com/orders/4711?key=r7">See your order</a></p>
</body>
</html>
"""


def main() -> None:
    """Both mails are in the spool when this returns."""
    from mailworker import send_email  # noqa: PLC0415 - reads the settings, and the demo has none of its own

    send_email.delay(
        to="Grace Hopper <grace@example.com>",
        subject=TEXT_SUBJECT,
        body="Hello Grace,\n\nnew code calls send_email.delay(to=…, subject=…, body=…).\n",
    )
    send_email.delay(
        to="Grace Hopper <grace@example.com>",
        reply_to="orders@example.com",
        subject=RICH_SUBJECT,
        html=HTML,  # of which a text is made, too
        inline={"logo": ("logo.png", image())},
        attachments=[("Rechnung 4711 für Grace.csv", "item;price\nCOBOL in 24 hours;24.00\n")],
    )


def image(size: int = 48) -> bytes:
    """A disc, as PNG."""
    middle, rows = size / 2 - 0.5, []
    for y in range(size):
        inside = [(x - middle) ** 2 + (y - middle) ** 2 < (size / 2) ** 2 for x in range(size)]
        rows.append(b"\0" + b"".join(b"\x0b\x6e\x4f\xff" if there else b"\0\0\0\0" for there in inside))
    return (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", struct.pack(">IIBBBBB", size, size, 8, 6, 0, 0, 0))
        + _chunk(b"IDAT", zlib.compress(b"".join(rows)))
        + _chunk(b"IEND", b"")
    )


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


if __name__ == "__main__":
    main()
