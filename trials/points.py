"""The points at which `trials.worker` can be killed; see there."""

BRIDGE = ("claim-after", "rung", "unlock-before", "unlock-after", "claim-before")
DOORBELL = "take-before"
"""It has a doorbell in hand, and has not taken the mails it is for."""

CHILD = (
    "take-after", "commit-before", "commit-after", "dot-before", "dot-middle", "dot-after",
    "reply-after", "settle-before", "settle-after",
)  # fmt: skip
"""`dot` is the write that ends with the content, `reply` the relay's answer to it."""
