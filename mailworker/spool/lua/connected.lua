run_when_full()
relay_enter(relay, owner)
local bears = relay_bears(relay)
if bears == 0 then return {1, 0} end
local key = LIMIT .. relay
redis.call('HSET', key, 'refused', 0)
local connected = relay_others(relay, owner) + 1
if connected > bears then
  bears = connected
  redis.call('HSET', key, 'connections', bears, 'interval', FIRST_ONE_MORE, 'try_at', now + SOON_ONE_MORE)
  redis.call('HDEL', key, 'tries')
  -- As many as there are children: nothing is left to be limited.
  if bears >= children() then
    redis.call('DEL', key)
    bears = 0
  end
end
return {1, bears}
