"""A mail: what was pushed or passed, as values, and as the octets that leave. Pure: knows neither Redis nor SMTP.

In the order in which a mail meets them:

- It comes as an entry: `payload` tells which format that is, and each has a reader (`php`, `igbinary` and `messagepack`
  on what they share in `binary`, JSON in `payload`), `compression` before them. Or as the `arguments` of a call.
- It becomes an `email`, a value, by the table of its `fields`: each is of a kind, `mailboxes` or `text`; `address` says
  what one is. `entry` reads and writes by that table: the octets of an entry, of a record in the spool, of PHP.
- It leaves as octets: `mime` builds them, with the `author` as whom the site sends; `headers` writes each header.
"""
