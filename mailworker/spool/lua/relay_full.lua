-- Given: relay, owner, wordless.

run_when_full()
relay_leave(relay, owner)
local free = relay_refused_one_more(relay, owner, wordless)
return {free and 1 or 0, relay_bears(relay)}
