"""A message of Celery's that carries several mails: each has an id of its own, the same whenever it is asked."""

from __future__ import annotations

import pytest

from mailworker.worker import carriers
from mailworker.worker.carriers import CARRIERS


@pytest.mark.parametrize(
    ("name", "items", "mails"),
    [
        ("celery.map", ["a@b.c"], [("i-0", ["a@b.c"])]),
        ("celery.starmap", [["a@b.c", "s", "b"], ["d@e.f"]], [("i-0", ["a@b.c", "s", "b"]), ("i-1", ["d@e.f"])]),
        ("celery.chunks", [("a@b.c", "s", "b")], [("i-0", ("a@b.c", "s", "b"))]),
        ("celery.map", [], []),
    ],
)
def test_each_mail_has_its_arguments_and_an_id_by_its_place(
    name: str, items: list[object], mails: list[tuple[str, object]]
) -> None:
    assert list(carriers.mails("i", items, CARRIERS[name])) == mails


def test_an_id_that_is_no_text_is_written_out() -> None:
    assert list(carriers.mails("\udcff", ["a@b.c"], starred=False)) == [("\\udcff-0", ["a@b.c"])]


def test_celery_has_no_further_tasks_that_carry_several_calls() -> None:
    """A new version may bring one: it belongs into `CARRIERS`, or here with its reason."""
    from celery import Celery

    alone_or_refused = {"celery.accumulate", "celery.backend_cleanup", "celery.chain", "celery.chord",
                        "celery.chord_unlock", "celery.group"}  # fmt: skip
    app = Celery("stock", set_as_current=False)
    assert {name for name in app.tasks if name.startswith("celery.")} - set(CARRIERS) == alone_or_refused
