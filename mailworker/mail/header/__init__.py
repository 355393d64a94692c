"""How one header is written: text and mailboxes `encoded` and folded, what is `structured` never encoded, and the
`parameters` of a type, with file names in any language."""
