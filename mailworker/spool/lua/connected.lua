-- Given: relay, owner.

run_when_full()
relay_enter(relay, owner)
relay_connected(relay, owner, children())
return {1, relay_bears(relay)}
