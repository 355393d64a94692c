"""Pure: for how long a relay asks us to wait, where it says so in words.

Dates, clocks, addresses, limits ("100 messages per 24 h") and time-outs stand in such replies, too. So a span of time
counts only right behind the words that ask for a wait.
"""

from __future__ import annotations

import re
from typing import Final

LONGEST: Final = 86_400.0
"""Seconds. Nobody greylists for longer; a relay that says so is asked once a day."""

_ENHANCED = re.compile(r"^[245]\.\d{1,3}\.\d{1,3}\s+", re.MULTILINE)
_FILLER = r"(?:(?:again|later|sending|delivery|delivering|your|this|the|e-?mail|mail|message|it|please)\b[\s,:;.(-]*)*"
_ABOUT = (
    r"(?:(?:about|approximately|at\s+least|another|the\s+next|the\s+first|a\s+minimum\s+of|minimum|some)\b[\s:=]*)*"
)
_GAP = r"[\s,:;.(=-]*"
_ASKS = re.compile(
    # try again in, retry after, come back in, resend in, reconnect in, next attempt in, will be accepted in
    rf"(?:\b(?:re-?)?(?:try|send|connect|submit|attempt)\b{_GAP}{_FILLER}|\bcome\s+back\b{_GAP}{_FILLER}"
    rf"|\bbe\s+(?:accepted|allowed|available|lifted|unblocked)\b{_GAP})(?:in|after){_GAP}{_ABOUT}"
    # greylisted for, deferred for
    rf"|\b(?:gr[ea]y-?\s?list(?:ed|ing)?|deferred|delayed|throttled|(?:temporarily\s+)?blocked)\b{_GAP}"
    rf"(?:for{_GAP}|in\s+(?:effect|action)\b{_GAP}for{_GAP}){_ABOUT}"
    rf"|\bwait(?:ing)?\b{_GAP}(?:for{_GAP})?{_ABOUT}"
    rf"|\bretry-after\b{_GAP}",
    re.IGNORECASE,
)
_UNIT = r"(s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?)\b"
_SPAN = re.compile(rf"(\d{{1,6}}|an?\b|one\b)\s*-?{_UNIT}(?!\s+ago\b)(?:\s*(?:,|and\b)?\s*)?", re.IGNORECASE)
_DURATION = re.compile(
    r"(\d{1,3}):([0-5]\d):([0-5]\d)(?![\d:])(?!\s*(?:[ap]m|utc|gmt|z|[+-]\d{4}|on)\b)", re.IGNORECASE
)
_BARE = re.compile(r"(\d{1,6})(?![\w:.])")
_AFTERWARDS = re.compile(
    rf"\b(?:try|retry|come\s+back)\b\s*(?:again\s*)?(\d{{1,6}})\s*{_UNIT}\s+later\b"
    rf"|\ballow\s+(\d{{1,6}})\s*{_UNIT}\s+before\s+(?:re-?try|try|re-?send)",
    re.IGNORECASE,
)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def asked_delay(text: str) -> float | None:
    """The seconds in "try again in N seconds" and its like; None where no wait is said."""
    text = _ENHANCED.sub("", text).replace("\n", " ")
    for asks in _ASKS.finditer(text):
        seconds = _said(text, asks)
        if seconds is not None:
            return min(seconds, LONGEST)
    if match := _AFTERWARDS.search(text):
        number, unit = (match[1], match[2]) if match[1] else (match[3], match[4])
        return min(float(int(number) * _SECONDS[unit[0].lower()]), LONGEST)
    return None


def _said(text: str, asks: re.Match[str]) -> float | None:
    at, words = asks.end(), asks[0].lower()
    clock = "after" in words  # "after 12:30:00"
    if not clock and (match := _DURATION.match(text, at)):  # milter-greylist: "please come back in 00:05:00"
        return float(int(match[1]) * 3600 + int(match[2]) * 60 + int(match[3]))
    if words.startswith("retry-after") and (match := _BARE.match(text, at)):  # seconds, as in RFC 9110, 10.2.3
        return float(match[1])
    total: float | None = None
    while match := _SPAN.match(text, at):  # "4 min 30 sec"
        number = int(match[1]) if match[1].isdecimal() else 1
        total = (total or 0) + number * _SECONDS[match[2][0].lower()]
        at = match.end()
    return total
