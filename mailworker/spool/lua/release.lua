-- ARGV: owner, '1' if its process died, in-doubt policy. What it has in hand goes back to the queue at once.
-- Returns {how many mails, what is to be told}.
run_when_full()
local owner = ARGV[1]
local released = 0
for _, id in ipairs(redis.call('SUNION', lease_key(owner), claim_key(owner))) do
  local record = redis.call('HMGET', mail_key(id), 'state', 'owner')
  if record[2] == owner or (record[1] == 'queued' and not record[2]) then
    abandon(id, ARGV[2] == '1', ARGV[3])
    released = released + 1
  end
end
redis.call('DEL', lease_key(owner), claim_key(owner))
redis.call('HDEL', OWNERS, owner)
redis.call('HDEL', POOLS, owner)
redis.call('ZREM', PLACES, owner)
redis.call('HDEL', HEARD, owner)
if belongs(redis.call('GET', BRIDGE_LOCK), owner) then redis.call('DEL', BRIDGE_LOCK) end
if redis.call('GET', PROBE) == owner then redis.call('DEL', PROBE) end
write_counts()
return {released, told}
