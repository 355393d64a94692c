"""A mail as the octets that leave.

`mime` joins its `head` and what is behind it: a text, or a `multipart` of texts and `file_parts`, each a `body_part`.
`charset` tells what a text file is written in.
"""
