"""The `mailworker` command: what a person asks for. The only folder that knows click."""
