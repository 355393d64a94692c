"""A relay that bears few connections: its places are asked for, waited for, and given back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import pytest

from mailworker.delivery import connection_limit
from mailworker.delivery.connection_limit import FOR_A_PLACE, Limit, Places
from mailworker.errors import SmtpError, SpoolError
from mailworker.smtp.relay import Relay
from mailworker.smtp.warm import WarmConnection
from mailworker.spool import Place, Spool

CROWDED = SmtpError("greeting", 421, "4.7.0 too many connections from 192.0.2.1")
NO_LIMIT, FREE, FULL = Place(True, 0), Place(True, 2), Place(False, 2)


class Asked:
    """A spool that answers as it is made to, each time with the next answer, and keeps what it was asked."""

    def __init__(self, **answers: list[Place]) -> None:
        self.answers = answers
        self.asked: list[str] = []
        self.away = False

    def __getattr__(self, name: str) -> Any:
        def ask(relay: str, owner: str, *_: Any) -> Place:
            assert (relay, owner) == ("bulk", "w/1.0")
            if self.away:
                raise SpoolError("Redis: away")
            self.asked.append(name)
            return self.answers[name].pop(0) if name in self.answers else NO_LIMIT

        return ask


class Warm:
    """What it is asked to connect to answers with these, in turn."""

    def __init__(self, *answers: Any, kept: Any = None) -> None:
        self.relay = Relay("mx.example", 25, name="bulk")
        self.answers = list(answers)
        self.open = kept
        self.dropped = 0

    def kept(self) -> Any:
        return self.open

    def connect(self) -> Any:
        answer = self.answers.pop(0)
        if isinstance(answer, SmtpError):
            raise answer
        return answer

    def drop(self) -> None:
        self.dropped += 1


@pytest.fixture(autouse=True)
def _no_time_passes_but_by_sleeping(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    now = [1000.0]
    monkeypatch.setattr(connection_limit.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(connection_limit.time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    yield
    assert now[0] < 1000 + FOR_A_PLACE + 1


def placing(spool: Asked, warm: Warm, bears: int = 0) -> tuple[Places, Limit]:
    limit = Limit(bears)
    return Places(cast(Spool, spool), "w/1.0", cast(WarmConnection, warm), limit), limit


def always() -> bool:
    return True


def test_a_warm_connection_costs_no_question() -> None:
    places, _ = placing(Asked(), Warm(kept="kept"), bears=2)
    assert places.connect(always) == "kept"


def test_without_a_limit_a_new_one_is_only_told() -> None:
    spool = Asked(connected=[FREE])
    places, limit = placing(spool, Warm("new"))
    assert places.connect(always) == "new"
    assert (spool.asked, limit.bears) == (["connected"], 2)  # it was learnt meanwhile


def test_with_a_limit_a_place_is_asked_for_until_one_is_free() -> None:
    spool = Asked(may_connect=[FULL, FULL, FREE], connected=[FREE])
    places, _ = placing(spool, Warm("new"), bears=2)
    assert places.connect(always) == "new"
    assert spool.asked == ["may_connect"] * 3 + ["connected"]
    assert not places.waiting


def test_a_connection_too_many_teaches_the_limit() -> None:
    spool = Asked(relay_full=[FREE], may_connect=[FREE], connected=[FREE])
    places, limit = placing(spool, Warm(CROWDED, "new"))
    assert places.connect(always) == "new"
    assert (spool.asked, limit.bears) == (["relay_full", "may_connect", "connected"], 2)


@pytest.mark.parametrize(
    ("error", "asked"),
    [(CROWDED, ["relay_full"]), (SmtpError("AUTH", 535, "no", configuration=True), [])],
)
def test_where_nobody_else_is_connected_it_is_an_outage(error: SmtpError, asked: list[str]) -> None:
    spool = Asked(relay_full=[Place(False, 0)])
    places, _ = placing(spool, Warm(error))
    with pytest.raises(SmtpError):
        places.connect(always)
    assert spool.asked == asked


def test_no_place_in_time_is_none() -> None:
    seen: list[bool] = []
    places, _ = placing(Asked(may_connect=[FULL] * 99), Warm(), bears=2)

    def more() -> bool:
        seen.append(places.waiting)
        return True

    assert places.connect(more) is None
    assert seen[0] is False
    assert all(seen[1:])  # nothing is late while it waits
    assert not places.waiting


def test_nothing_is_waited_for_where_there_is_no_mail() -> None:
    places, _ = placing(Asked(), Warm(), bears=2)
    assert places.connect(lambda: False) is None


def test_a_connection_of_which_redis_does_not_know_is_closed() -> None:
    spool, warm = Asked(), Warm("new")
    spool.away = True
    places, _ = placing(spool, warm)
    with pytest.raises(SpoolError):
        places.connect(always)
    assert (warm.dropped, places.waiting) == (1, False)


@pytest.mark.parametrize(("bears_at_the_end", "known", "dropped"), [(0, 0, 0), (2, 0, 1), (0, 2, 1), (2, 2, 1)])
def test_room_is_made_where_the_relay_bears_few(bears_at_the_end: int, known: int, dropped: int) -> None:
    spool, warm = Asked(), Warm()
    places, limit = placing(spool, warm, bears=known)
    places.make_room(bears_at_the_end)
    assert (warm.dropped, spool.asked) == (dropped, ["disconnected"] * dropped)
    assert limit.bears == bears_at_the_end


def test_room_is_made_also_where_redis_is_away() -> None:
    spool, warm = Asked(), Warm()
    spool.away = True
    placing(spool, warm)[0].make_room(2)
    assert warm.dropped == 1
