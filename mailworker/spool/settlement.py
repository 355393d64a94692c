"""An outcome as settle.lua reads it."""

from __future__ import annotations

import json
from typing import Any, Final

from ..outcome import Deferred, Failed, Further, Held, OutcomeSoFar, Returned

DETAIL: Final = 1000
"""Characters that are kept of what a relay said."""


def as_json(mail_id: str, outcome: OutcomeSoFar) -> str:
    """Of each outcome but `Sent`, which needs no words."""
    fields: dict[str, Any] = {"id": mail_id}
    match outcome:
        case Failed():
            fields |= {"kind": "failed", "in_doubt": outcome.in_doubt, **_failure(outcome)}
        case Held():
            fields |= {"kind": "held", "reason": outcome.reason, "detail": outcome.detail[:DETAIL], "code": 0}
            fields["in_doubt"] = outcome.reason == "in_doubt"
        case Deferred():
            fields |= {"kind": "deferred", "delay": round(outcome.delay * 1000), "detail": outcome.detail[:DETAIL]}
            fields |= {"code": outcome.code, "in_doubt": outcome.in_doubt}
            if outcome.recipients is not None:
                fields["rcpt"] = json.dumps(outcome.recipients)
            if outcome.refused is not None:
                fields["refused"] = _failure(outcome.refused)
        case Returned():
            fields |= {"kind": "returned", "delay": round(outcome.delay * 1000), "waits": outcome.waits}
        case Further():
            fields |= {"kind": "further", "rcpt": json.dumps(outcome.recipients)}
            if outcome.refused is not None:
                fields["refused"] = _failure(outcome.refused)
    return json.dumps(fields)


def _failure(failed: Failed) -> dict[str, Any]:
    fields: dict[str, Any] = {"reason": failed.reason, "detail": failed.detail[:DETAIL], "code": failed.code}
    if failed.recipients is not None:
        fields["rcpt"] = json.dumps(failed.recipients)
    return fields
