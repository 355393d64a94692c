-- KEYS: legacy lists. ARGV: owner, lease in ms, largest mail in octets, in-doubt policy, batch, lock's token, ids…
-- Returns {records, 1 if the caller must ring the bridge, 1 if the relay failed of late, now in ms, closed, told}; a record is
-- {id, payload, size, at, tries, rcpt, since, origin}, the payload '' where it is too large for a mail or for a script;
-- closed is 1 where the relay's breaker kept the mails in the queue.
run_when_full()
local owner, lease, limit = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local records, taken, scores = {}, {}, {}

leave(owner, ARGV[4])

-- While the breaker is open nothing is taken, but for the one mail that the bridge sent to probe.
redis.call('ZREM', RUNG, unpack(ARGV, 7))
local open = redis.call('HEXISTS', RELAY, 'open_until') == 1
local probing = open and redis.call('EXISTS', PROBE) == 1 and #ARGV == 7
for i = 7, #ARGV do
  local id = ARGV[i]
  local record = redis.call('HMGET', mail_key(id), 'state', 'payload', 'at', 'tries', 'rcpt', 'since', 'origin',
    'size')
  if record[1] == 'queued' then
    if open and not probing then
      redis.call('ZADD', DUE, now, id)
    else
      move('queued', 'leased')
      redis.call('HSET', mail_key(id), 'state', 'leased', 'owner', owner)
      scores[#scores + 1] = now + lease
      scores[#scores + 1] = id
      taken[#taken + 1] = id
      local payload, size = record[2] or '', tonumber(record[8])
      if not size or size > limit then
        -- What `size` says is a little more than it is. To refuse it the exact number is needed.
        size = #(size and redis.call('LINDEX', payload_key(id), 0) or payload)
        if size > limit then payload = '' end
      end
      records[#records + 1] =
        {id, payload, size, record[3], record[4] or '0', record[5] or '', record[6] or record[3], record[7] or id}
    end
  end
end
-- The probe is in this owner's hand now. Where there is no mail to probe with, it is the next mail's at once.
if probing then
  if #taken > 0 then redis.call('SET', PROBE, owner, 'PX', 30000) else redis.call('DEL', PROBE) end
end
if #taken > 0 then
  redis.call('ZADD', DUE, unpack(scores))
  redis.call('SADD', lease_key(owner), unpack(taken))
  redis.call('HINCRBY', OWNERS, owner, 1)
  if #taken == 1 then redis.call('HSET', mail_key(taken[1]), 'alone', 1) end
end
write_counts()
local ring = 0
if rung() < pool_size() * tonumber(ARGV[5]) and work(KEYS, tonumber(ARGV[5])) then
  if redis.call('SET', BRIDGE_LOCK, ARGV[6], 'NX', 'PX', RUNG_LOCK_MS) or redis.call('GET', BRIDGE_LOCK) == ARGV[6] then
    ring = 1
    redis.call('HINCRBY', OWNERS, owner, 1)  -- who dies before it rings is missed, and the lock is free
  end
end
return {records, ring, redis.call('EXISTS', RELAY), now, open and not probing and 1 or 0, told}
