-- Given: ids.

local dropped = 0
for _, id in ipairs(ids) do
  local record = redis.call('HMGET', MAIL .. id, 'state', 'size', 'blobs')
  local state = record[1]
  if is_dead(state) then
    leave(id, state, 'dropped', record[2], record[3])
    dropped = dropped + 1
  end
end
write_changes()
return dropped
