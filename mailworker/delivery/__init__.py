"""Mails of the spool on their way to a relay: joins `mail`, `smtp` and `spool`, which know nothing of each other."""
