local dropped = 0
for _, id in ipairs(ids) do
  local state = redis.call('HGET', MAIL .. id, 'state')
  if is_dead(state) then
    become(id, state, 'dropped')
    dropped = dropped + 1
  end
end
write_changes()
return dropped
