"""Pure: how long a mail waits after each attempt that failed, and for how long in all. As the settings say."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Policy:
    """Back-off: seconds after the first, second, … failed attempt, the last one repeated; all until `max_age`."""

    delays: tuple[float, ...] = (10, 60, 300, 900, 3600)
    max_age: float = 2 * 86_400
    jitter: float = 0.1
    hold_in_doubt: bool = False
    """A mail that the relay may have waits for a person, and is not sent again."""


def back_off(attempt: int, policy: Policy, chance: float) -> float:
    """Seconds to wait after failed attempt number `attempt`, spread by the jitter to either side. `chance` is a random
    number from 0 to 1."""
    delay = policy.delays[min(max(attempt, 1), len(policy.delays)) - 1]
    return delay * (1 + policy.jitter * (2 * chance - 1))
