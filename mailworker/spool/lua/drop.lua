-- Given: ids.

local dropped = 0
for _, id in ipairs(ids) do
  local state = redis.call('HGET', MAIL .. id, 'state')
  if is_dead(state) then
    leave(id, state, 'dropped', true)
    dropped = dropped + 1
  end
end
write_changes()
return dropped
