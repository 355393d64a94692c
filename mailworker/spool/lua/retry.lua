-- Given: ids.

local retried = 0
for _, id in ipairs(ids) do
  local record = redis.call('HMGET', MAIL .. id, 'state', 'expires')
  local state, expires = record[1], record[2]
  if is_dead(state) then
    become(id, state, 'queued', now, 'since', now)
    redis.call('HDEL', MAIL .. id, 'suspect', 'deaths', 'ended')
    -- Who has it tried again all the same wants it sent.
    if is_expired(expires) then redis.call('HDEL', MAIL .. id, 'expires') end
    for _, relay in ipairs(RELAYS) do redis.call('HDEL', MAIL .. id, 'spared:' .. relay, 'spares:' .. relay) end
    redis.call('HINCRBY', MAIL .. id, 'retried', 1)
    retried = retried + 1
  end
end
write_changes()
return retried
