"""What the documents show of Python is run as it stands, with a process's own outbox in the place of the relay."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BEFORE = """
from datetime import UTC, datetime, timedelta
from mailworker import send_email, send_raw
from mailworker.testing import outbox
link, octets = "https://example.com/1", b"{}"
"""
FILES = {
    "static/logo.png": "",
    "invoices/4711.pdf": "%PDF",
    "news.pdf": "%PDF",
    "mails/welcome.html": "<p>{{ name }} {{ link | default('') }}",
    "mails/welcome.subject": "Welcome",
    "mails/news.txt": "{{ name }}",
    "mails/news.subject": "News",
}


def code_of(name: str) -> list[str]:
    """The blocks that send mail, but for views and tests, which are run where the examples are."""
    blocks = BLOCK.findall((ROOT / name).read_text())
    return [block for block in blocks if re.search(r"^(results = )?send_", block, re.MULTILINE)]


def test_each_example_of_the_documents_sends_what_it_shows(tmp_path: Path) -> None:
    for name, content in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    blocks = [block.replace(", …]", "]") for name in ("docs/mails.md", "README.md") for block in code_of(name)]
    assert len(blocks) > 10
    check = "assert outbox, 'nothing was sent'; outbox.clear()\n"
    result = subprocess.run(
        [sys.executable, "-c", BEFORE + "".join(block + check for block in blocks)], cwd=tmp_path, timeout=60,
        env=os.environ | {"MAILWORKER_SMTP_URL": "memory://", "MAILWORKER_TEMPLATES": "mails", "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (result.stderr, result.returncode) == ("", 0)


def test_a_message_by_the_task_s_name_is_sent_to_a_queue_that_a_worker_reads() -> None:
    calls = [
        call
        for document in (ROOT / "docs").glob("*.md")
        for call in re.findall(r"send_task\(\"mailworker\.send_email\"[^`]*", document.read_text())
    ]
    assert len(calls) > 1
    assert all('queue="mailworker"' in call for call in calls)
