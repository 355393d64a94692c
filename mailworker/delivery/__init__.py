"""Mails of the spool on their way to a relay: joins `mail`, `smtp` and `spool`, which know nothing of each other.

The way of one mail, from where it comes in:

1. `bridge` claims entries of the legacy list and rings for them; `accept` makes a record of a call.
2. `deliver` takes a batch of records in the name of a slot (`slots`: with how many hands a process delivers), and joins
   what follows. Which relay they go to is chosen there, by `take.lua`.
3. `compose` makes of a record what a relay is given: reads it, with its `files`, chooses its author, builds it, leaves
   out the recipients who have it. Here is the place to redirect, suppress or sign.
4. `sending` has the batch go over one connection after the other, as long as there is use in it. It gets one through
   `connection_limit`, and tells the `breaker` when the relay fails; `broken_session` says what a break means.
5. `batch` is what the session asks: for the next mails, for leave to send them, and it is told each verdict. It begins
   none beyond its `batch_limits`. `split` sends a mail of many recipients in parts; `late` takes mails elsewhere that
   wait behind a slow one.
6. `judge` makes an `attempt` of each verdict: `decide` says what the relay's answer means for the mail, `back_off` how
   long that waits.
7. `settle` writes the outcomes into the spool, and then tells those who want to know: `log_lines` is one.

Beside that way: `direct` sends one mail without the spool, and `outbox` keeps what a test would have sent. What a
person asks for: `dead_letters` (which are meant, and what they hold), `readable` (a mail as lines for a person),
`giveback` (back to the old daemon), `remedies` (the setting to look at), and `chunks`, in which many mails are worked
on.
"""
