"""The inbox as web pages: a list of mails, and each mail as text, as HTML and with its files. Pure: mails → HTML.

Mail is written by strangers: every value is escaped, and the HTML of a mail has a page of its own (`shown_html`), which
is shown in a frame that runs nothing and reaches nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from .inbox import Mail

STYLE = """
:root { color-scheme: light dark; --ink: #1c2024; --soft: #687076; --line: #e3e6e8; --paper: #fff; --back: #f6f7f8;
  --mark: #0b6e4f; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8eaec; --soft: #9aa2a8; --line: #2c3237; --paper: #181c1f; --back: #101315; --mark: #4fd1a1; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 52rem; margin: 0 auto; padding: 2.5rem 1.25rem; }
h1 { margin: 0 0 .25rem; font-size: 1.5rem; line-height: 1.25; overflow-wrap: anywhere; }
.hint { margin: 0 0 1.5rem; color: var(--soft); }
a { color: var(--mark); }
.card { background: var(--paper); border: 1px solid var(--line); border-radius: .75rem; overflow: hidden; }
ol { list-style: none; margin: 0; padding: 0; }
li + li { border-top: 1px solid var(--line); }
li a { display: grid; grid-template-columns: 1fr auto; gap: 0 1rem; padding: .9rem 1.25rem; color: inherit;
  text-decoration: none; }
li a:hover, li a:focus { background: var(--back); }
li strong, li .who { overflow-wrap: anywhere; }
li .who, time { color: var(--soft); font-size: .9rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .3rem 1.25rem; margin: 0; padding: 1.1rem 1.25rem;
  border-bottom: 1px solid var(--line); font-size: .95rem; }
dt { color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; }
pre { margin: 0; padding: 1.25rem; white-space: pre-wrap; overflow-wrap: anywhere;
  font: 15px/1.6 ui-monospace, SFMono-Regular, Menlo, monospace; }
iframe { display: block; width: 100%; height: 28rem; border: 0; background: #fff; resize: vertical; }
.files { border-top: 1px solid var(--line); padding: .9rem 1.25rem; display: grid; gap: .35rem; }
details { margin-top: 1rem; color: var(--soft); }
details pre { font-size: 13px; padding: 1rem 0; }
.empty { padding: 2.5rem 1.25rem; text-align: center; color: var(--soft); }
"""


def mail_list(mails: Sequence[Mail]) -> str:
    """Newest first. The page looks again by itself."""
    rows = "".join(_row(mail) for mail in reversed(mails))
    card = f"<ol>{rows}</ol>" if rows else '<p class="empty">No mail yet.</p>'
    count = "1 mail" if len(mails) == 1 else f"{len(mails)} mails"
    return _page(
        "Inbox",
        f'<h1>Inbox</h1><p class="hint">{count}, newest first. Kept in memory, passed on to nobody.</p>'
        f'<div class="card">{card}</div>',
        refresh=True,
    )


def one_mail(mail: Mail) -> str:
    """A mail with its headers, its content and its files."""
    fields = {
        "From": mail.header("From") or mail.sender,
        "To": mail.header("To"),
        "Envelope": f"{mail.sender} → {', '.join(mail.recipients)}",
        "Received": f"{mail.at:%Y-%m-%d %H:%M:%S} UTC",
        "Message-ID": mail.header("Message-ID"),
    }
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in fields.items())
    subject = escape(mail.subject) or "(no subject)"
    raw = escape(mail.raw.decode("utf-8", "replace"))
    return _page(
        mail.subject,
        f'<p class="hint"><a href="/">← Inbox</a></p><h1>{subject}</h1><p></p>'
        f'<div class="card"><dl>{rows}</dl>{_content(mail)}</div>'
        f"<details><summary>As it came over SMTP</summary><pre>{raw}</pre></details>",
    )


def _content(mail: Mail) -> str:
    """Its HTML and its text, where it has both, and its files."""
    content = mail.content
    text = f"<pre>{escape(content.text)}</pre>"
    if content.html:
        # The sandbox allows nothing, and the page's own policy keeps the frame from going elsewhere.
        text = (
            f'<iframe sandbox="" referrerpolicy="no-referrer" title="The HTML of the mail" '
            f'src="/mails/{mail.number}/html"></iframe>'
        ) + (f'<div class="files"><details><summary>Its text</summary>{text}</details></div>' if content.text else "")
    files = "".join(
        f'<span><a href="/mails/{mail.number}/files/{content.parts.index(part) + 1}" download>{escape(part.name)}</a> '
        f'<span class="hint">{escape(part.type)}, {len(part.content):,} octets</span></span>'
        for part in content.attachments
    )
    return text + (f'<div class="files">{files}</div>' if files else "")


def no_such_mail() -> str:
    """What a link shows whose mail is gone."""
    return _page(
        "No such mail",
        '<p class="hint"><a href="/">← Inbox</a></p><h1>There is no such mail</h1>'
        '<p class="hint">The inbox keeps the newest thousand.</p>',
    )


def _row(mail: Mail) -> str:
    return (
        f'<li><a href="/mails/{mail.number}"><strong>{escape(mail.subject) or "(no subject)"}</strong>'
        f"<time>{mail.at:%H:%M:%S}</time>"
        f'<span class="who">{escape(", ".join(mail.recipients))}</span></a></li>'
    )


def _page(title: str, content: str, refresh: bool = False) -> str:
    again = '<meta http-equiv="refresh" content="3">' if refresh else ""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"{again}<title>{escape(title)} · mailworker demo</title><style>{STYLE}</style></head>"
        f"<body><main>{content}</main></body></html>\n"
    )
