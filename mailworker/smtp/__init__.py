"""The SMTP client.

`relay` says where and how, `dial` reaches it, `tls` secures, `auth` logs in (`token` has tokens), `replies` reads,
`connection` opens and closes, `transaction` says and understands what one mail needs, `bdat` and `data` are the two
ways to send, `proof` comes before the first of them, `wording` tells whether replies are in step, `session` chooses.
"""
