-- Given: relay, text, configuration, place, slower.

run_when_full()
return {relay_down(relay, text, configuration, FAILURES_OPEN, place, slower)}
