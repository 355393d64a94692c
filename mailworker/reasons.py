"""Why a mail is a dead letter: every reason code, what happened, and what a person does about it.

The table in docs/operations.md is written from it (`make docs`). A test compares it with what the package raises and
what its scripts write: a new reason is a line here and the line that raises it.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Reason(NamedTuple):
    """Two sentences for a person, as they stand in a table."""

    what_happened: str
    what_to_do: str


_LOOK: Final = "look at the producer"

REASONS: Final = {
    # It is no mail.
    "empty": Reason("the entry has no octets", _LOOK),
    "php_syntax": Reason("not what PHP's `serialize()` writes, or cut short", _LOOK),
    "php_object": Reason(
        "holds an object, an enum or a custom serializer, in `serialize()`, igbinary or msgpack; these are never read",
        "let the producer push arrays",
    ),
    "json_syntax": Reason("begins like JSON and is not", _LOOK),
    "format": Reason(
        "none of `serialize()`, JSON, igbinary, msgpack, plain or under LZF, ZSTD or LZ4; or one of these that is "
        "damaged or cut off. The text `Array` is what phpredis pushes for an array without `OPT_SERIALIZER`",
        "look at the producer's `OPT_SERIALIZER` and `OPT_COMPRESSION`",
    ),
    "too_deep": Reason("arrays nested deeper than a mail can be", _LOOK),
    "too_many_values": Reason("more values than a mail can have", _LOOK),
    "not_a_mail": Reason("readable, but not an array with `to`, `subject` and `body`", _LOOK),
    "missing_field": Reason("`to`, `subject` or `body` is not there", _LOOK),
    "bad_field": Reason("a field that holds what it cannot hold; `detail` says which, and what is expected", _LOOK),
    "bad_text": Reason("text that is not valid Unicode", _LOOK),
    "sender_not_allowed": Reason(
        "neither the address of `sender` (or `return_path`) nor its domain is in `MAILWORKER_SENDERS`",
        "add it there and retry, or look at the producer",
    ),
    "bad_arguments": Reason(
        "a call of `send_email` by name from another Celery app whose arguments are not those of `send_email`, or "
        "whose `idempotency_key` is another mail's",
        "look at the caller",
    ),
    "bad_message": Reason(
        "a finished message (`send_raw`, Django) that relays and readers do not all understand alike; it is refused at "
        "the call",
        "look at who built it",
    ),
    "bad_template": Reason(
        "a call of `send_email` by name from another Celery app whose `template` is not there, or cannot be rendered "
        "with its `context`; `detail` says where",
        "mend the template or the caller, and send it again",
    ),
    "no_recipient": Reason("`to` is empty", _LOOK),
    "bad_address": Reason(
        "RFC 5322 does not allow it as one address. It is never guessed who was meant", "mend it and push it again"
    ),
    # It is a mail, and too much of one.
    "too_many_recipients": Reason(
        "more octets of recipients than `MAILWORKER_MAX_RECIPIENTS_SIZE`",
        "split the mail, or raise the limit and retry",
    ),
    "too_large": Reason(
        "more octets than `MAILWORKER_MAX_MAIL_SIZE`, as it was pushed or when it is decompressed",
        "raise the limit and retry",
    ),
    # It cannot be built.
    "internal_error": Reason(
        "a bug of ours while the mail was built; the log has the kind of the error, file, line and function under "
        "its id",
        "report it with the octets",
    ),
    "gone": Reason(
        "its text, or a file of it, is not in Redis any more though the mail is: another program deleted the key, or "
        "Redis was short of memory and is set to evict",
        "`maxmemory-policy noeviction`; let the application send it again",
    ),
    "unbuildable": Reason(
        "its headers cannot be written as RFC 5322 wants them", "report it: this should not happen"
    ),
    "dkim_no_key": Reason(
        "`MAILWORKER_DKIM_REQUIRED` is set, and no key fits the domain of its From",
        "add a key of that domain to `MAILWORKER_DKIM_KEYS`, restart the workers, retry",
    ),
    # The relay does not take it.
    "smtputf8": Reason("an address outside ASCII, and the relay does not offer SMTPUTF8", "another relay"),
    "sender_refused": Reason(
        "the relay refused the sender for good (5xx to MAIL). Where it refuses each mail so, mail waits from the third "
        "on, and those before come back",
        "mend `MAILWORKER_FROM`, or the `sender` that the caller chose; retry",
    ),
    "recipient_refused": Reason(
        "the relay refused these recipients for good; the others have the mail",
        "tell the application that the address is bad",
    ),
    "message_refused": Reason(
        "the relay refused the message for good", "read `detail`, it is what the relay said"
    ),
    "expired": Reason(
        "put off by the relay until `MAILWORKER_MAX_AGE` was over; or its caller wanted it sent by a time, `expires`, "
        "that has passed",
        "when the relay is well: retry. An entry of a list whose own `expires` has passed stays what it is",
    ),
    # Its process died.
    "poison": Reason(
        "three attempts, alone in their batch, ended with the death of the process",
        "report it with the octets; retry once the cause is known",
    ),
    "in_doubt": Reason(
        "with `MAILWORKER_IN_DOUBT=hold`: the relay may have it",
        "look into the relay's log for the Message-ID; `drop` it or `retry` it",
    ),
}  # fmt: skip
