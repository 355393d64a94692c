-- Given: relay, owner.

run_when_full()
local free = relay_has_a_place(relay, owner)
if free then relay_enter(relay, owner) end
return {free and 1 or 0, relay_bears(relay)}
