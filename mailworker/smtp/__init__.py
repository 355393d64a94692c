"""The SMTP client.

`relay` says where and how, `replies` reads, `connection` opens and closes, `transaction` says and understands what one
mail needs, `bdat` and `data` are the two ways to send, and `session` chooses between them.
"""
