"""The `mailworker` command: what a person asks for. The only folder that knows click.

`cli` is the group; each command has a file: `status`, `dead` (list, show, retry, drop, export), `doubts`, `retry_now`,
`giveback`, `dkim`, `render`, `demo`. `console` is what they share: errors as one line with an exit code, names
and times as people write them, a bar of progress, the spool.
"""
