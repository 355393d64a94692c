-- ARGV: ids of dead letters, which a person gives up. Returns how many.
local dropped = 0
for _, id in ipairs(ARGV) do
  local state = redis.call('HGET', mail_key(id), 'state')
  if state == 'failed' or state == 'held' then
    delete(id)
    redis.call('ZREM', DEAD, id)
    count(state, -1)
    count('total:dropped', 1)
    dropped = dropped + 1
  end
end
write_counts()
return dropped
