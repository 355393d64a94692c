-- KEYS: legacy lists. ARGV: bridge's owner, lock's token or '', most mails, most octets, ring patience in ms,
-- 20 random hex digits, batch, in-doubt policy, '1' to go on in a full Redis: without it the first write is refused.
-- Returns {ids to ring, ids to ring each alone, pool children, 1 if the lock is ours, 1 if the one id is the bridge's
-- to deliver and the lock is given back, what is to be told}.
local owner, token, most, most_octets = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local patience, random, batch, policy = tonumber(ARGV[5]), ARGV[6], tonumber(ARGV[7]), ARGV[8]
local size = pool_size()

local locked_by = redis.call('GET', BRIDGE_LOCK)
if token ~= '' and locked_by ~= token and locked_by ~= owner then return {{}, {}, size, 0, 0, {}} end
if ARGV[9] == '1' then run_when_full() end
redis.call('SET', BRIDGE_LOCK, owner, 'PX', 10000)
leave(owner, policy)
local function nothing()
  write_counts()
  return {{}, {}, size, 1, 0, told}
end
if relay_closed_for() > 0 then return nothing() end
-- The breaker is half open: one mail finds out.
local half_open = redis.call('HEXISTS', RELAY, 'open_until') == 1
if half_open then most = 1 end

redis.call('ZREMRANGEBYSCORE', RUNG, '-inf', now)
most = math.min(most, size * batch * 2 - rung())
if most <= 0 then return nothing() end

local ids, alone, scores = {}, {}, {}
local function ring(id, suspect)
  local list = suspect and alone or ids
  list[#list + 1] = id
  scores[#scores + 1] = now + patience
  scores[#scores + 1] = id
end

-- First what somebody must look at again: retries, lost doorbells, leases that ended.
local backlog = false
for _, queue in ipairs(KEYS) do backlog = backlog or length(queue) > 0 end
local share = backlog and math.max(1, math.floor(most / 2)) or most
-- Every second probe is from the lists: mails that are refused each for itself must not be the only ones to be tried.
if half_open and backlog and redis.call('HINCRBY', RELAY, 'probes', 1) % 2 == 0 then share = 0 end
for _, id in ipairs(redis.call('ZRANGEBYSCORE', DUE, '-inf', now, 'LIMIT', 0, share)) do
  local record = redis.call('HMGET', mail_key(id), 'state', 'owner', 'suspect')
  local state = record[1]
  if state == 'leased' or state == 'committing' then
    if redis.call('HEXISTS', OWNERS, record[2]) == 1 and redis.call('SISMEMBER', lease_key(record[2]), id) == 1 then
      redis.call('ZADD', DUE, now + patience, id)
      state = nil
    else
      abandon(id, true, policy)
      record = redis.call('HMGET', mail_key(id), 'state', 'owner', 'suspect')
      state = record[1]
    end
  end
  if state == 'deferred' then
    move('deferred', 'queued')
    redis.call('HSET', mail_key(id), 'state', 'queued')
    state = 'queued'
  end
  if state == 'queued' then
    ring(id, record[3])
  elseif state == false then
    redis.call('ZREM', DUE, id)
  end
end

-- Then the legacy lists, oldest entries first, each with a record in the same step.
local room = most - #ids - #alone
local octets = 0
local entries = 0
for _, queue in ipairs(KEYS) do entries = entries + length(queue) end
local reserved = math.min(room, entries)
local sequence = redis.call('INCRBY', SEQUENCE, reserved) - reserved

-- The list's last entry becomes the payload of this mail, and no script sees it: 0.1 ms for a MiB, and not 1.4. Returns
-- its octets in Redis's memory, which are a little more than its own; nil where there is no entry. Before Redis 7 SORT
-- walks through the whole list to get there, and LMOVE shows the entry all the same.
local function move_last(queue, id)
  local last = redis.call('LLEN', queue) - 1
  if last < 0 then return nil end
  if redis.REDIS_VERSION_NUM then
    redis.call('SORT', queue, 'BY', 'nosort', 'LIMIT', last, 1, 'STORE', payload_key(id))
    redis.call('LTRIM', queue, 0, -2)
  else
    redis.call('LMOVE', queue, payload_key(id), 'RIGHT', 'LEFT')
  end
  return redis.call('MEMORY', 'USAGE', payload_key(id))
end

-- Takes the list's last entry. Returns the field for its record and its value, or nil where there is no entry.
local function take_last(queue, id, likely_large)
  local size = likely_large and move_last(queue, id)
  if size and size > LARGE then return 'size', size end
  local payload = redis.call('RPOP', size and payload_key(id) or queue)
  if payload then return store(id, payload) end
end

local function drain(queue, share)
  if length(queue) == 0 then return end  -- or it is no list
  local field, value
  while share > 0 and room > 0 and octets < most_octets do
    local id = string.format('%012x', sequence + 1) .. random
    field, value = take_last(queue, id, field == 'size')  -- large ones come in series
    if not field then break end
    sequence = sequence + 1
    redis.call('HSET', mail_key(id), 'state', 'queued', field, value, 'at', now, 'source', queue)
    count('queued', 1)
    count('total:claimed', 1)
    ring(id)
    room = room - 1
    share = share - 1
    octets = octets + (field == 'size' and value / 4 or #value)
  end
end
-- Each list has its share of the room, then whoever has more: a long one does not starve the others.
for number, queue in ipairs(KEYS) do drain(queue, math.ceil(room / (#KEYS - number + 1))) end
for _, queue in ipairs(KEYS) do drain(queue, room) end

if #scores > 0 then
  if half_open then redis.call('SET', PROBE, owner, 'PX', 30000) end
  local all = {}
  for i = 2, #scores, 2 do all[#all + 1] = scores[i] end
  for i = 1, #scores, 1000 do redis.call('ZADD', DUE, unpack(scores, i, math.min(i + 999, #scores))) end
  for i = 1, #scores, 1000 do redis.call('ZADD', RUNG, unpack(scores, i, math.min(i + 999, #scores))) end
  for i = 1, #all, 1000 do redis.call('SADD', claim_key(owner), unpack(all, i, math.min(i + 999, #all))) end
  redis.call('HINCRBY', OWNERS, owner, 1)
end
write_counts()
-- One mail on an idle system: the bridge delivers it itself, so the lock is free for the next one.
local lone = #ids == 1 and #alone == 0 and not work(KEYS, batch)
if lone then redis.call('DEL', BRIDGE_LOCK) end
return {ids, alone, size, 1, lone and 1 or 0, told}
