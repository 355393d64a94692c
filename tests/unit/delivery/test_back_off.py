"""How long a mail waits after an attempt that failed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mailworker.delivery.back_off import Policy, back_off

POLICY = Policy(delays=(10, 60, 300), max_age=1000, jitter=0.1)


@given(st.integers(0, 1000), st.floats(0, 1))
def test_the_jitter_spreads_the_wait_to_either_side(attempt: int, chance: float) -> None:
    delay = back_off(attempt, POLICY, chance)
    wanted = POLICY.delays[min(max(attempt, 1), 3) - 1]
    assert wanted * 0.9 <= delay <= wanted * 1.1
