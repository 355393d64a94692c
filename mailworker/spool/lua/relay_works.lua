run_when_full()
return relay_up(relay)
