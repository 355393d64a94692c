"""The control group: a plain Celery task with `acks_late` that sends with smtplib.

The same kills have to lose mail here, or the trials see nothing.
"""

from __future__ import annotations

import os
import smtplib
from pathlib import Path

from celery import Celery

QUEUE = "control"

app = Celery("control", broker=os.environ.get("CONTROL_BROKER"))
app.conf.update(
    task_acks_late=True, worker_prefetch_multiplier=1, task_ignore_result=True, task_default_queue=QUEUE,
    accept_content=["json"], broker_connection_retry_on_startup=True,
)  # fmt: skip


def busy_mark(folder: Path, process: int) -> Path:
    """This file is there while the process runs a task."""
    return folder / f"busy.{process}"


@app.task(name="control.send")  # type: ignore[untyped-decorator]  # celery has no types
def send(token: str) -> None:
    mark = busy_mark(Path(os.environ["TRIALS_ARMS"]), os.getpid())
    mark.touch()
    with smtplib.SMTP("127.0.0.1", int(os.environ["CONTROL_RELAY"]), local_hostname="control") as session:
        session.sendmail(
            "sender@example.com", [f"{token}@example.com"], f"Subject: {token}\r\n\r\nThe body of {token}.\r\n"
        )
    mark.unlink()
