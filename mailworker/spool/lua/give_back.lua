-- Given: ids, sources, payloads.

-- Each goes to the tail of its list, where the next one to be taken stands. The first write is one that Redis refuses
-- when its memory is full.
local given = 0
for number, id in ipairs(ids) do
  local state = redis.call('HGET', MAIL .. id, 'state')
  if state == 'queued' or state == 'deferred' or is_dead(state) then
    redis.call('RPUSH', sources[number], payloads[number])
    leave(id, state, 'given_back', true)
    redis.call('ZREM', RUNG, id)
    given = given + 1
  end
end
write_changes()
return given
