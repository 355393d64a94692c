"""One hypothesis profile for all property tests: no time limit for an example, nothing written beside the tests."""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "unit", deadline=None, database=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("unit")
