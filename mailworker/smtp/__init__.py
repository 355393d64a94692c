"""The SMTP client. Nothing here knows of Redis, of Celery, or of how a mail is made.

- Where to: `relay` (values), `relay_url` (what people write).
- A connection: `opening` makes one (with `dial`, `tls`, `login`, the mechanisms of `auth` and the `token`s),
  `connection` is its life, `writing` and `replies` are its two halves, `warm` keeps it from batch to batch; `lessons`
  and `pace` are what is known of the relay from earlier ones.
- Mails over it: `session` chooses between `bdat` and `data`, both in the steps of `transaction`. `chunking_proof` comes
  before the first BDAT, `group` writes the commands before a DATA together where the relay bears that, `ahead` has
  mails committed that leave soon, `dsn` says of what a sender wants to be told, `wording` and `unconfirmed` see that
  replies are in step. `journal` is what is asked of whoever has the mails.
- What a reply means: `verdict` is what was said to one mail; `refusals`, `retry_after` and `complaints` read it, by the
  patterns in `phrases`.
"""
