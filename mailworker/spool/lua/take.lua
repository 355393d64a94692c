-- Given: owner, token, ids, lists.

-- When to look again at a mail in hand, in ms. It is taken over earlier if its owner's pulse ends.
local LEASE_MS = 1800000

run_when_full()
begin_anew(owner)
write_all('ZREM', RUNG, ids)

local relay, probing = relay_for(#ids)
local records, taken = {}, {}

-- The payload, or '' where it is too large for a mail or for a script; and the octets of it.
local function payload_of(id, payload, size)
  if size and size <= LARGEST then return '', size end
  -- What `size` says is a little more than it is. To refuse it the exact number is needed.
  local octets = #(size and redis.call('LINDEX', PAYLOAD .. id, 0) or payload)
  return octets <= LARGEST and payload or '', octets
end

local function take(id)
  local record = redis.call('HMGET', MAIL .. id, 'state', 'payload', 'size', 'at', 'tries', 'rcpt', 'since', 'origin',
    'source', 'expires')
  local state, stored, size, at, tries, recipients, since, origin, source, expires = unpack(record)
  if state ~= 'queued' then return end
  if is_expired(expires) then return expire(id, state) end
  if not relay then return look_again(id, now) end
  become(id, state, 'leased', now + LEASE_MS, 'owner', owner)
  taken[#taken + 1] = id
  local payload, octets = payload_of(id, stored or '', tonumber(size))
  records[#records + 1] = {id, payload, octets, at, tries or '0', recipients or '', since or at, origin or id,
    (source or '') == '' and (expires or 0) or -1}
end

local function hold()
  if #taken == 0 then return end
  write_all('SADD', LEASE .. owner, taken)
  show_life(owner)
  if #taken == 1 then redis.call('HSET', MAIL .. taken[1], 'alone', 1) end
end

-- The probe is in this owner's hand now. Where there is no mail to probe with, it is the next mail's at once; and so
-- is one that this owner had in hand before.
local function hold_the_probe()
  if not relay then
    for _, each in ipairs(RELAYS) do relay_probe_of(each, owner) end
  end
  if not probing then return end
  if #taken > 0 then relay_probe(relay, owner) else relay_probe_is_over(relay) end
end

-- Does the queue run low, so that the bridge is to be rung? Who dies before it rings is missed, and the lock is free.
local function must_ring()
  if rung() >= pool_size() * BATCH or not there_is_work(lists) or not lock_take(token) then return false end
  show_life(owner)
  return true
end

for _, id in ipairs(ids) do take(id) end
hold_the_probe()
hold()
write_changes()
local failed = relay and relay_failed_of_late(relay)
return {records, relay or '', failed and 1 or 0, must_ring() and 1 or 0, now, abandoned}
