"""The tests of this program have the fixture `mailworker_outbox`."""

pytest_plugins = ["mailworker.testing"]
