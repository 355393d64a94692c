-- Stands before every script. The names of all keys are made here and nowhere else.
-- Time is Redis's own, in milliseconds. A script changes a record and its place in `due` in one step.
-- '@PREFIX@' is replaced with the prefix, here and in each script: a name that is whole costs nothing while they run.
local DUE, COUNTS, DEAD, OWNERS, POOLS = '@PREFIX@due', '@PREFIX@counts', '@PREFIX@dead', '@PREFIX@owners', '@PREFIX@pools'
local BRIDGE_LOCK, RELAY, PROBE, SEQUENCE = '@PREFIX@bridge_lock', '@PREFIX@relay', '@PREFIX@probe', '@PREFIX@sequence'
local HEARD, LATE = '@PREFIX@heard', '@PREFIX@late'
-- Each call has a number of its own, as the last argument. A call whose answer was not waited for is called off before
-- its caller goes on (calloff.lua): a copy of it that arrives after that, from a socket that was closed, does nothing.
local call = table.remove(ARGV)
if redis.call('ZSCORE', LATE, call) then return redis.error_reply('LATE this call was called off') end
local PLACES, LIMIT, REFUSED = '@PREFIX@places', '@PREFIX@limit', '@PREFIX@refused'
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local function mail_key(id) return '@PREFIX@mail:' .. id end
-- A payload of more octets lies in a list of its own, and its record has `size` in place of `payload`: no script ever
-- sees it, which would copy it eight times. The child reads it when its turn comes.
local LARGE = 8192
local function payload_key(id) return '@PREFIX@payload:' .. id end
-- What an owner took, and what its bridge claimed and has not rung for yet.
local function lease_key(owner) return '@PREFIX@lease:' .. owner end
local function claim_key(owner) return '@PREFIX@claim:' .. owner end

-- The field of the record, and its value.
local function store(id, payload)
  if #payload <= LARGE then return 'payload', payload end
  redis.call('RPUSH', payload_key(id), payload)
  return 'size', #payload
end
local function delete(id) redis.call('DEL', mail_key(id), payload_key(id)) end

-- How many records are in each state, and totals since ever. Added up here and written once a script.
local changes = {}
local function count(name, by) changes[name] = (changes[name] or 0) + by end
local function move(from, to) count(from, -1); count(to, 1) end
local function write_counts()
  for name, by in pairs(changes) do
    if by ~= 0 then redis.call('HINCRBY', COUNTS, name, by) end
  end
end

-- The relay may have this mail. The last ten thousand such are kept by id, which is in their Message-ID.
local function doubt(id)
  count('total:in_doubt', 1)
  redis.call('HINCRBY', mail_key(id), 'doubts', 1)
  redis.call('ZADD', '@PREFIX@doubts', now, id)
  redis.call('ZREMRANGEBYRANK', '@PREFIX@doubts', 0, -10001)
end

-- Redis checks its memory limit before the first write of a script only. What settles or gives back must run when
-- memory is full: its first write is this one, which asks for none.
local function run_when_full() redis.call('DEL', '@PREFIX@nothing') end

-- Mails for which a doorbell is out and not answered, by the time at which it is given up. It bounds the doorbells.
local RUNG = '@PREFIX@rung'
local function rung() return redis.call('ZCOUNT', RUNG, now, '+inf') end

-- Milliseconds until the relay may be tried; 0 where its breaker is closed or a probe is due.
local function relay_closed_for()
  local till = tonumber(redis.call('HGET', RELAY, 'open_until') or 0)
  if till == 0 then return 0 end
  if redis.call('EXISTS', PROBE) == 1 then return math.max(redis.call('PTTL', PROBE), 1) end
  -- A clock that was set back must not keep the breaker open for hours.
  return math.max(0, math.min(till - now, tonumber(redis.call('HGET', RELAY, 'interval') or 0)))
end

-- Whoever mended something does not wait for the breaker: the next mail is the probe, and the intervals begin anew.
local function probe_now()
  if redis.call('HEXISTS', RELAY, 'open_until') == 0 then return 0 end
  redis.call('HSET', RELAY, 'open_until', now, 'interval', 0)
  redis.call('DEL', PROBE)
  return 1
end

local function bury(id, from, reason, detail, code, state)
  move(from, state)
  count('total:' .. state, 1)
  redis.call('HSET', mail_key(id), 'state', state, 'reason', reason, 'detail', detail, 'code', code, 'ended', now)
  redis.call('HDEL', mail_key(id), 'owner')
  redis.call('ZREM', DUE, id)
  redis.call('ZADD', DEAD, now, id)
end

-- What a dead owner's mails became, for the log: 'doubt <id>' or '<reason> <id>'.
local told = {}

-- The owner of this record is gone. `died` is true where its process died, so that the attempt counts.
local function abandon(id, died, in_doubt_policy)
  local record = redis.call('HMGET', mail_key(id), 'state', 'alone', 'deaths')
  local state = record[1]
  if state == 'queued' then
    redis.call('ZADD', DUE, now, id)
    redis.call('ZREM', RUNG, id)
    return
  end
  if state ~= 'leased' and state ~= 'committing' then return end
  if died then
    redis.call('HSET', mail_key(id), 'suspect', 1)
    if record[2] == '1' then record[3] = redis.call('HINCRBY', mail_key(id), 'deaths', 1) end
  end
  if state == 'committing' then
    doubt(id)
    if in_doubt_policy == 'hold' then
      told[#told + 1] = 'in_doubt ' .. id
      return bury(id, state, 'in_doubt', 'the worker died after it began to send; the relay may have the mail', 0, 'held')
    end
    told[#told + 1] = 'doubt ' .. id
  end
  if died and tonumber(record[3] or 0) >= 3 then
    told[#told + 1] = 'poison ' .. id
    return bury(id, state, 'poison', 'three attempts ended with the death of the process', 0, 'failed')
  end
  move(state, 'queued')
  redis.call('HSET', mail_key(id), 'state', 'queued')
  redis.call('HDEL', mail_key(id), 'owner', 'alone')
  redis.call('ZADD', DUE, now, id)
end

-- The owner begins something new: what it took and did not end, because the answer never reached it, goes back now.
local function leave(owner, policy)
  for _, id in ipairs(redis.call('SMEMBERS', lease_key(owner))) do
    if redis.call('HGET', mail_key(id), 'owner') == owner then abandon(id, false, policy) end
  end
  redis.call('DEL', lease_key(owner), claim_key(owner))
end

-- The lock's holder is a bridge's owner, or the token of one who rings: its owner, a blank and a number.
local RUNG_LOCK_MS = 5000
local function belongs(holder, owner) return holder and (holder == owner or holder:sub(1, #owner + 1) == owner .. ' ') end

local function children()
  local size = 0
  for _, number in ipairs(redis.call('HVALS', POOLS)) do size = size + tonumber(number) end
  return math.max(size, 1)
end

-- How many entries wait in a legacy list. A key of another type is no list, and stops nothing else.
local function length(queue)
  local entries = redis.pcall('LLEN', queue)
  return type(entries) == 'number' and entries or 0
end

-- The pool children that there is any use in ringing: a few more than the relay bears connections.
local function pool_size()
  local size, bears = children(), redis.call('HGET', LIMIT, 'connections')
  return bears and math.min(size, bears * 4) or size
end

-- The relay failed. Returns {1 if the breaker is open, ms until the next probe, 1 if this call opened it or was its
-- probe}.
local function relay_down(text, configuration, enough, first, longest, place, slower)
  -- A mail that went through since the last failure shows that the relay works: failures count in a row.
  local sent = redis.call('HGET', COUNTS, 'total:sent') or '0'
  local was = redis.call('HEXISTS', RELAY, 'open_until')
  if was == 0 and redis.call('HGET', RELAY, 'sent') ~= sent then redis.call('HSET', RELAY, 'failures', 0, 'since', now) end
  local failures = redis.call('HINCRBY', RELAY, 'failures', 1)
  redis.call('HSET', RELAY, 'text', text, 'configuration', configuration and 1 or 0, 'failed_at', now, 'place', place,
    'sent', sent, 'slower', slower and 1 or 0)
  if redis.call('HEXISTS', RELAY, 'since') == 0 then redis.call('HSET', RELAY, 'since', now) end
  local interval = tonumber(redis.call('HGET', RELAY, 'interval') or 0)
  if was == 0 and not configuration and not slower and failures < enough then return {0, 0, 0} end
  -- Of several children that fail together only the first one widens the interval.
  local till = tonumber(redis.call('HGET', RELAY, 'open_until') or 0)
  if was == 1 and till > now then return {1, till - now, 0} end
  interval = interval == 0 and first or math.min(interval * 2, longest)
  redis.call('HSET', RELAY, 'interval', interval, 'open_until', now + interval)
  redis.call('DEL', PROBE)
  -- How many connections it bears is found out anew when it works again. Who is connected still is: a warm connection
  -- outlives what opened the breaker, and whoever is refused beside it meets a limit and no outage.
  if not slower then redis.call('DEL', LIMIT) end
  return {1, interval, 1}
end

-- Is there something to do for the bridge? `batch` is the mails in a full doorbell.
local function work(queues, batch)
  if relay_closed_for() > 0 then return false end
  if rung() >= pool_size() * batch * 2 then return false end
  local first = redis.call('ZRANGE', DUE, 0, 0, 'WITHSCORES')
  if first[2] and tonumber(first[2]) <= now then return true end
  for _, queue in ipairs(queues) do
    if length(queue) > 0 then return true end
  end
  return false
end
