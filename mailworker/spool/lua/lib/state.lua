-- A mail's state, and all that follows from it. No script writes a state but through `become`.

-- Redis checks its memory limit before the first write of a script only. What settles or gives back must run when
-- memory is full: its first write is this one, which asks for none.
local function run_when_full() redis.call('DEL', NOTHING) end

-- How many items one command is given at once: Lua's stack bears 8,000. Even, since some come in pairs.
local CHUNK = 1000

local function write_all(command, key, items)
  for i = 1, #items, CHUNK do redis.call(command, key, unpack(items, i, math.min(i + CHUNK - 1, #items))) end
end

-- What a script changes in COUNTS and DUE is collected, and written at once by `write_changes`: before it ends, and
-- before it reads them.
local counted, due, not_due = {}, {}, {}

local function count(name, by) counted[name] = (counted[name] or 0) + by end

-- Somebody must look at this mail at that time.
local function look_again(id, at)
  due[#due + 1] = at
  due[#due + 1] = id
end

local function write_changes()
  for name, by in pairs(counted) do
    if by ~= 0 then redis.call('HINCRBY', COUNTS, name, by) end
  end
  write_all('ZADD', DUE, due)
  write_all('ZREM', DUE, not_due)
  counted, due, not_due = {}, {}, {}
end

local function is_in_hand(state) return state == 'leased' or state == 'committing' end

local function is_dead(state) return state == 'failed' or state == 'held' end

-- These three are how a mail leaves the spool.
local function has_left(state) return state == 'sent' or state == 'dropped' or state == 'given_back' end

local function leave(id, from, to)
  count('total:' .. to, 1)
  redis.call('DEL', MAIL .. id, PAYLOAD .. id)
  if is_dead(from) then redis.call('ZREM', DEAD, id) end
  not_due[#not_due + 1] = id
end

-- The mail changes its state: the record, the counts of each state and the totals since ever, `due` and `dead`.
--   from  nil for a mail that is new
--   to    a state, or how it leaves the spool
--   at    when somebody must look at it again; nil where that is as before, or never
--   …     further fields of the record and their values
local function become(id, from, to, at, ...)
  if from then count(from, -1) end
  if has_left(to) then return leave(id, from, to) end
  count(to, 1)
  redis.call('HSET', MAIL .. id, 'state', to, ...)
  if is_in_hand(from) and not is_in_hand(to) then redis.call('HDEL', MAIL .. id, 'owner', 'alone') end
  if is_dead(from) then redis.call('ZREM', DEAD, id) end
  if is_dead(to) then
    count('total:' .. to, 1)
    redis.call('ZADD', DEAD, now, id)
    if from then not_due[#not_due + 1] = id end
  else
    -- New mail that waits for its time is deferred, too, and no attempt was.
    if to == 'deferred' and from then count('total:deferred', 1) end
    if at then look_again(id, at) end
  end
end

-- It becomes a dead letter: `to` is 'failed' or 'held'.
local function bury(id, from, reason, detail, code, to)
  become(id, from, to, nil, 'reason', reason, 'detail', detail, 'code', code, 'ended', now)
end
