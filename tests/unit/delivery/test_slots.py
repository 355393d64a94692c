"""Each task has a slot of its own while it works, and gets a connection that is warm where there is one."""

from __future__ import annotations

from mailworker.delivery.slots import Slots
from mailworker.smtp.relay import Relay


def test_a_slot_is_used_again_and_two_at_once_are_two() -> None:
    slots = Slots("host:1:2:3-a", [Relay("127.0.0.1", 25)])
    with slots.take() as first:
        assert slots.taken == {first.owner}
        with slots.take() as second:
            assert slots.taken == {first.owner, second.owner}
            assert first.owner != second.owner
            assert first.line("default").warm is not second.line("default").warm
            assert first.line("default").limit is not second.line("default").limit
            assert first.late is second.late  # one thread looks at all
    assert slots.taken == set()
    with slots.take() as again:
        assert again is first


def test_a_slot_is_free_after_whatever_its_task_raised() -> None:
    slots = Slots("host:1:2:3-a", [Relay("127.0.0.1", 25)])
    try:
        with slots.take() as slot:
            raise KeyError
    except KeyError:
        pass
    with slots.take() as again:
        assert again is slot


def test_a_slot_has_its_workers_name() -> None:
    with Slots("host:1:2:3-a", [Relay("127.0.0.1", 25)]).take() as slot:
        assert slot.owner.startswith("host:1:2:3-a/")


def test_a_slot_has_a_line_to_each_relay_from_when_it_is_first_asked_for() -> None:
    bulk = Relay("bulk.example", 25, name="bulk")
    with Slots("host:1:2:3-a", [Relay("127.0.0.1", 25), bulk]).take() as slot:
        line = slot.line("bulk")
        assert line.warm.relay is bulk
        assert slot.line("bulk") is line
        assert slot.line("default") is not line
