-- ARGV: ids of dead letters. They are tried again from now on, with their history. Returns how many.
local retried = 0
for _, id in ipairs(ARGV) do
  local state = redis.call('HGET', mail_key(id), 'state')
  if state == 'failed' or state == 'held' then
    move(state, 'queued')
    redis.call('HSET', mail_key(id), 'state', 'queued', 'since', now)
    redis.call('HDEL', mail_key(id), 'owner', 'alone', 'suspect', 'deaths', 'ended', 'spared', 'spares')
    redis.call('HINCRBY', mail_key(id), 'retried', 1)
    redis.call('ZREM', DEAD, id)
    redis.call('ZADD', DUE, now, id)
    retried = retried + 1
  end
end
write_counts()
return retried
