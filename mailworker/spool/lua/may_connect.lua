run_when_full()
local bears = relay_bears(relay)
local others, mine = 0, true
if bears > 0 then others, mine = relay_others(relay, owner) end
if others >= bears and not mine then
  local try_at, interval = relay_limit(relay, 'try_at'), relay_limit(relay, 'interval')
  if try_at > now and try_at - now <= interval then return {0, bears} end
  -- One tries whether the relay bears one more by now.
  redis.call('HSET', LIMIT .. relay, 'tries', owner, 'try_at', now + interval)
end
relay_enter(relay, owner)
return {1, bears}
