-- Given: relay.

run_when_full()
return relay_up(relay)
