run_when_full()
relay_leave(relay, owner)
local key = LIMIT .. relay
local bears = relay_bears(relay)
local connected = relay_others(relay, owner)
local moved = tonumber(redis.call('HGET', HEARD, ' moved') or 0)
-- Without a reason it may as well be an outage: others must have got something through just now.
if connected == 0 or (wordless and now - moved > MOVED_LATELY) then return {0, bears} end
if bears == 0 then
  bears = connected
  redis.call('HSET', key, 'connections', bears, 'refused', 0, 'interval', FIRST_ONE_MORE,
    'try_at', now + FIRST_ONE_MORE)
elseif redis.call('HGET', key, 'tries') == owner then
  local interval = math.min(relay_limit(relay, 'interval') * 2, LONGEST_ONE_MORE)
  redis.call('HDEL', key, 'tries')
  redis.call('HSET', key, 'connections', math.min(bears, connected), 'interval', interval, 'try_at', now + interval)
elseif connected < bears and redis.call('HINCRBY', key, 'refused', 1) >= REFUSED_PLACES then
  bears = connected
  redis.call('HSET', key, 'connections', bears, 'refused', 0, 'try_at', now + relay_limit(relay, 'interval'))
end
return {1, bears}
