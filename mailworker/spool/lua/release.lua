-- Given: owner, died.

run_when_full()
local released = 0
for _, id in ipairs(redis.call('SUNION', LEASE .. owner, CLAIM .. owner)) do
  local record = redis.call('HMGET', MAIL .. id, 'state', 'owner')
  if record[2] == owner or (record[1] == 'queued' and not record[2]) then
    abandon(id, died)
    released = released + 1
  end
end
redis.call('DEL', LEASE .. owner, CLAIM .. owner)
redis.call('HDEL', OWNERS, owner)
redis.call('HDEL', POOLS, owner)
redis.call('HDEL', HEARD, owner)
for _, relay in ipairs(RELAYS) do
  relay_leave(relay, owner)
  relay_probe_of(relay, owner)
end
if lock_belongs_to(owner) then lock_give_back() end
write_changes()
return {released, abandoned}
