"""Calls `send_email.many` as a program does: `python -m benchmarks.workers.caller KIND RUN MAILS WAIT`

They may go after WAIT seconds. Prints {"seconds": …} as its last line, what the call took.
"""

from __future__ import annotations

import json
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from mailworker import send_email

from ..payloads import rich, token


def main(kind: str, run: str, count: int, wait: float) -> None:
    mails = [rich(kind, token(run, number)) for number in range(count)]
    shared: dict[str, Any] = {"attachments": mails[0]["attachments"]} if kind == "shared" else {}
    for mail in mails if shared else []:
        del mail["attachments"]
    if wait:
        shared["send_at"] = datetime.now(UTC) + timedelta(seconds=wait)
    begun = time.perf_counter()
    send_email.many(mails, **shared)
    print(json.dumps({"seconds": time.perf_counter() - begun}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
