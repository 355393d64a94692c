-- Given: ids, sources, payloads.

-- Each goes to the tail of its list, where the next one to be taken stands. The first write is one that Redis refuses
-- when its memory is full.
local given = 0
for number, id in ipairs(ids) do
  local record = redis.call('HMGET', MAIL .. id, 'state', 'size', 'blobs')
  local state = record[1]
  if state == 'queued' or state == 'deferred' or is_dead(state) then
    redis.call('RPUSH', sources[number], payloads[number])
    leave(id, state, 'given_back', record[2], record[3])
    redis.call('ZREM', RUNG, id)
    given = given + 1
  end
end
write_changes()
return given
