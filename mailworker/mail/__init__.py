"""A mail: what was pushed or passed, as values, and as the octets that leave. Pure: knows neither Redis nor SMTP.

In the order in which a mail meets them:

- It comes as an entry: `payload` tells which format that is, and each has a reader (`php`, `igbinary` and `messagepack`
  on what they share in `binary`, JSON in `payload`), `compression` before them. Or as the `arguments` of a call, with
  `moments` at which it may go and `keys` under which it is accepted once; `complete` makes what was left out.
- It becomes an `email`, a value, by the table of its `fields`: each is of a kind (`mailboxes`, `text`, `files`,
  `own_headers`, `links`, `dsn`); `address` says what one is, `senders` as whom a caller may send. A `file` has a
  `media_type`; a call's is a `given_file` (`read_file` reads it), another program's a `base64_file`;
  `known_files` are those that several mails of a call have.
- `entry` reads and writes by that table (and `legacy_fields` where a site allows more of one): the octets of an entry,
  of a plain mail in the spool, of PHP. `frame` keeps any other mail of new code: a header, and its `parts` behind it.
- `templates` renders a mail from the files of `template_folder`, in the `template_sandbox` and its `template_bounds`;
  `text_of_html` makes the text of a mail that was given as HTML alone.
- It leaves as octets: `mime` builds them, with the `author` as whom the site sends. In the `head`, `headers` writes
  text and mailboxes into a header, `structured` what is never encoded. What is more than a text is a `multipart` of
  texts and `file_parts`, each a `body_part`; `parameters` writes file names, `charset` tells what a text file is
  written in, and `encoding` puts all of them on lines that every relay takes.
- It is signed: `dkim` with the `dkim_keys` of the domain in its From (`from_domains`), which are read from their
  files (`private_keys`), over its `relaxed` form.
- A message that another program finished is `raw`: its header block (`raw_head`) and its lines are checked, and
  otherwise it is left as it is. `raw_arguments` are those of its call.
"""
