"""A mail: what was pushed or passed, as values, and as the octets that leave. Pure: knows neither Redis nor SMTP.

In the order in which a mail meets them:

- It comes as an entry: `payload` tells which of the `formats` that is. Or as the `arguments` of a call, with `moments`
  at which it may go and `keys` under which it is accepted once; `complete` makes what was left out, with `templating`.
- It becomes an `email`, a value, by the table of its `fields`: each is of a kind (`mailboxes`, `text`, `files`,
  `own_headers`, `links`, `dsn`); `address` says what one is, `senders` as whom a caller may send. A `file` has a
  `media_type`; a call's is a `given_file` (`read_file` reads it), another program's a `base64_file`;
  `known_files` are those that several mails of a call have.
- `entry` reads and writes by that table (and `legacy_fields` where a site allows more of one): the octets of an entry,
  of a plain mail in the spool, of PHP. `frame` keeps any other mail of new code: a header, and its `parts` behind it.
- It leaves as octets: `wire` builds them, with the `author` as whom the site sends; `header` writes each header, and
  `encoding` puts texts and files on lines that every relay takes.
- `signing` puts a signature before them. What another program `finished` is checked, and left as it is.
"""
