-- A mail's state, and all that follows from it. No script writes a state but by `become`, or deletes a mail but by
-- `leave`.

-- Redis checks its memory limit before the first write of a script only. What settles or gives back must run when
-- memory is full: its first write is this one, which asks for none.
local function run_when_full() redis.call('DEL', NOTHING) end

-- How many items one command is given at once: Lua's stack bears 8,000. Even, since some come in pairs.
local CHUNK = 1000

local function write_all(command, key, items)
  for i = 1, #items, CHUNK do redis.call(command, key, unpack(items, i, math.min(i + CHUNK - 1, #items))) end
end

-- What a script changes in COUNTS, DUE and BLOBS is collected, and written at once by `write_changes`: before it ends,
-- and before it reads them. Not as its first write: a full Redis must refuse before it, or not at all.
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
    counted[name] = nil
  end
  for digest, by in pairs(needed) do
    if redis.call('HINCRBY', BLOBS, digest, by) <= 0 then
      redis.call('HDEL', BLOBS, digest)
      redis.call('UNLINK', BLOB .. digest)
    elseif by > 0 then
      redis.call('PERSIST', BLOB .. digest)
    end
    needed[digest] = nil
  end
  if #due > 0 then
    write_all('ZADD', DUE, due)
    due = {}
  end
  if #not_due > 0 then
    write_all('ZREM', DUE, not_due)
    not_due = {}
  end
end

local function is_in_hand(state) return state == 'leased' or state == 'committing' end

local function is_dead(state) return state == 'failed' or state == 'held' end

-- Every change of a mail's state passes here, whatever else it does: the counts of the records in each state, and the
-- totals since ever. `from` is nil for a mail that is new, `to` a state or, where it leaves the spool, a total.
local function changed(from, to)
  if from then counted[from] = (counted[from] or 0) - 1 end
  counted[to] = (counted[to] or 0) + 1
end

-- The mail gets another state: the record, the counts, `due` and `dead`.
--   at  when somebody must look at it again; nil where that is as before, or never
--   …   further fields of the record and their values
local function become(id, from, to, at, ...)
  changed(from, to)
  redis.call('HSET', MAIL .. id, 'state', to, ...)
  if at then look_again(id, at) end
  if to == 'leased' or to == 'committing' or not from then return end
  if is_in_hand(from) then redis.call('HDEL', MAIL .. id, 'owner', 'alone') end
  if is_dead(from) then redis.call('ZREM', DEAD, id) end
  if to == 'deferred' then count('total:deferred', 1) end
end

-- The mail leaves the spool: `how` is 'sent', 'dropped' or 'given_back'; `large` and `blobs` are its fields `size` and
-- `blobs`, false where it has none.
local function leave(id, from, how, large, blobs)
  changed(from, 'total:' .. how)
  if large then redis.call('DEL', MAIL .. id, PAYLOAD .. id) else redis.call('DEL', MAIL .. id) end
  if blobs then need_blobs(blobs, -1) end
  if is_dead(from) then redis.call('ZREM', DEAD, id) end
  not_due[#not_due + 1] = id
end

-- The caller chose this mail's id, and made this digest of what it is: '' or '1' for none. It is a value, and the name
-- of a field: one who may not read a record can ask whether it has that field.
local function known_by(id, digest)
  if #digest <= 1 then return redis.call('HSET', MAIL .. id, 'keyed', 1) end
  redis.call('HSET', MAIL .. id, 'keyed', digest, 'is:' .. digest, '')
end

-- What stays of a mail that was sent: that its id is known, and what it was known by.
local function remember(id, digest)
  redis.call('HSET', MAIL .. id, 'state', 'sent')
  known_by(id, digest)
  redis.call('EXPIRE', MAIL .. id, IDEMPOTENCY_SECONDS)
end

-- It becomes a dead letter: `to` is 'failed' or 'held'.
local function bury(id, from, reason, detail, code, to)
  become(id, from, to, nil, 'reason', reason, 'detail', detail, 'code', code, 'ended', now)
  count('total:' .. to, 1)
  redis.call('ZADD', DEAD, now, id)
  not_due[#not_due + 1] = id
end
