-- ARGV: id, list, payload for each mail, newest first. Each goes to the tail of its list, where the next one to be
-- taken stands. Returns how many. The first write is one that Redis refuses when its memory is full.
local given = 0
for i = 1, #ARGV, 3 do
  local id = ARGV[i]
  local state = redis.call('HGET', mail_key(id), 'state')
  if state == 'queued' or state == 'deferred' or state == 'failed' or state == 'held' then
    redis.call('RPUSH', ARGV[i + 1], ARGV[i + 2])
    delete(id)
    redis.call('ZREM', DUE, id)
    redis.call('ZREM', DEAD, id)
    redis.call('ZREM', RUNG, id)
    count(state, -1)
    count('total:given_back', 1)
    given = given + 1
  end
end
write_counts()
return given
