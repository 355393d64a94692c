"""Celery's command line may be ours or a host's, and only what was written on it counts."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest
from click.core import ParameterSource

from mailworker.errors import SettingsError
from mailworker.findings import SETTINGS
from mailworker.worker import command_line


@pytest.fixture
def context() -> Iterator[click.Context]:
    """Of a command below Celery's."""
    with click.Context(click.Group("celery")) as root, click.Context(click.Command("worker"), parent=root):
        yield root


@pytest.mark.parametrize(
    ("app", "ours"),
    [
        ("mailworker", True), ("mailworker:app", True), ("mailworker.worker.app:app", True),
        ("host", False), ("host.mailworker", False), ("mailworkers", False), (None, False), (object(), False),
    ],
)  # fmt: skip
def test_our_app_is_chosen_by_the_name_of_the_package(context: click.Context, app: object, ours: bool) -> None:
    context.params["app"] = app
    assert command_line.is_running()
    assert command_line.chose_mailworker() is ours


@pytest.mark.parametrize(
    ("source", "broker"),
    [(ParameterSource.COMMANDLINE, "amqp://b"), (ParameterSource.ENVIRONMENT, None), (ParameterSource.DEFAULT, None)],
)
def test_a_broker_of_the_environment_is_a_host_s(
    context: click.Context, source: ParameterSource, broker: str | None
) -> None:
    context.params["broker"] = "amqp://b"
    context.set_parameter_source("broker", source)
    assert command_line.broker() == broker


def test_a_wrong_setting_ends_a_command_with_one_line(
    context: click.Context, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught, command_line.one_line_errors():
        raise SettingsError("MAILWORKER_BATCH: no")
    assert caught.value.code == SETTINGS
    assert capsys.readouterr().err == "mailworker: MAILWORKER_BATCH: no\n"


def test_a_program_gets_the_error_itself() -> None:
    assert not command_line.is_running()
    with pytest.raises(SettingsError), command_line.one_line_errors():
        raise SettingsError("MAILWORKER_BATCH: no")
