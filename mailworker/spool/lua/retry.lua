-- Given: ids.

local retried = 0
for _, id in ipairs(ids) do
  local state = redis.call('HGET', MAIL .. id, 'state')
  if is_dead(state) then
    become(id, state, 'queued', now, 'since', now)
    redis.call('HDEL', MAIL .. id, 'suspect', 'deaths', 'ended')
    for _, relay in ipairs(RELAYS) do redis.call('HDEL', MAIL .. id, 'spared:' .. relay, 'spares:' .. relay) end
    redis.call('HINCRBY', MAIL .. id, 'retried', 1)
    retried = retried + 1
  end
end
write_changes()
return retried
