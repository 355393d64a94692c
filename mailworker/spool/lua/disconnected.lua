-- Given: relay, owner.

run_when_full()
relay_leave(relay, owner)
return 1
