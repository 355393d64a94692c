-- ARGV: owner, in-doubt policy, keep in s, '1' if the batch ends here, number of sent, sent ids…, number to commit,
-- ids…, then outcomes as JSON, one each.
-- Settles what ended and commits what comes next. Returns the ids that may go; at the end of a batch, where that is
-- limited, how many connections the relay bears.
run_when_full()
local owner, policy, keep = ARGV[1], ARGV[2], tonumber(ARGV[3])
local at = 5

local gone = {}
for i = at + 1, at + tonumber(ARGV[at]) do
  local id = ARGV[i]
  local record = redis.call('HMGET', mail_key(id), 'state', 'keyed', 'size')
  -- The relay has it: that is final, whoever holds the record by now.
  if record[1] and record[1] ~= 'sent' then
    count(record[1], -1)
    count('total:sent', 1)
    gone[#gone + 1] = id
    if record[1] == 'failed' or record[1] == 'held' then redis.call('ZREM', DEAD, id) end
    if record[3] then delete(id) else redis.call('DEL', mail_key(id)) end
    if record[2] then
      redis.call('HSET', mail_key(id), 'state', 'sent')
      redis.call('EXPIRE', mail_key(id), keep)
    end
  end
end
if #gone > 0 then
  redis.call('ZREM', DUE, unpack(gone))
  redis.call('SREM', lease_key(owner), unpack(gone))
end
at = at + tonumber(ARGV[at]) + 1

local go = {}
for i = at + 1, at + tonumber(ARGV[at]) do
  local id = ARGV[i]
  local record = redis.call('HMGET', mail_key(id), 'state', 'owner')
  if record[2] == owner and (record[1] == 'leased' or record[1] == 'committing') then
    if record[1] == 'leased' then
      move('leased', 'committing')
      redis.call('HSET', mail_key(id), 'state', 'committing')
    end
    go[#go + 1] = id
  end
end
at = at + tonumber(ARGV[at]) + 1

-- The refused recipients of a mail that others got, or will get, are a dead letter of their own.
local function split(id, refused)
  local copy
  repeat
    -- What is behind the point cannot be foreseen: no caller can have chosen this id for a mail of its own.
    copy = id .. '~' .. redis.call('HINCRBY', mail_key(id), 'splits', 1) .. '.' .. redis.sha1hex(call .. id):sub(1, 12)
  until redis.call('EXISTS', mail_key(copy)) == 0
  redis.call('HSET', mail_key(id), 'part', copy)
  local record = redis.call('HMGET', mail_key(id), 'payload', 'at', 'source', 'tries', 'origin', 'sequence', 'size')
  local field, value = 'payload', record[1]
  if record[7] then
    field, value = 'size', record[7]
    redis.call('SORT', payload_key(id), 'BY', 'nosort', 'STORE', payload_key(copy))
  end
  redis.call('HSET', mail_key(copy), field, value, 'at', record[2], 'source', record[3],
    'tries', record[4] or 0, 'rcpt', refused.rcpt, 'origin', record[5] or id)
  if record[6] then redis.call('HSET', mail_key(copy), 'sequence', record[6]) end
  count('queued', 1)
  bury(copy, 'queued', refused.reason, refused.detail, refused.code, 'failed')
end

local function settle(outcome)
  local id = outcome.id
  local record = redis.call('HMGET', mail_key(id), 'state', 'owner')
  if record[2] ~= owner or (record[1] ~= 'leased' and record[1] ~= 'committing') then return end
  local key = mail_key(id)
  if outcome.kind ~= 'further' then redis.call('SREM', lease_key(owner), id) end
  if outcome.kind ~= 'returned' and outcome.kind ~= 'further' then redis.call('HINCRBY', key, 'tries', 1) end
  if outcome.in_doubt then doubt(id) end
  if outcome.rcpt then redis.call('HSET', key, 'rcpt', outcome.rcpt) end
  if outcome.refused then split(id, outcome.refused) end
  if outcome.kind == 'further' then  -- its next transaction is committed anew
    if record[1] == 'committing' then
      move('committing', 'leased')
      redis.call('HSET', key, 'state', 'leased')
    end
    return
  end
  if outcome.kind == 'failed' or outcome.kind == 'held' then
    return bury(id, record[1], outcome.reason, outcome.detail, outcome.code, outcome.kind)
  end
  local state = outcome.kind == 'deferred' and 'deferred' or 'queued'
  move(record[1], state)
  redis.call('HSET', key, 'state', state)
  redis.call('HDEL', key, 'owner', 'alone', 'suspect', 'deaths')
  if state == 'deferred' then
    count('total:deferred', 1)
    redis.call('HSET', key, 'reason', 'deferred', 'detail', outcome.detail, 'code', outcome.code)
  end
  redis.call('ZADD', DUE, now + outcome.delay, id)
end
for i = at, #ARGV do settle(cjson.decode(ARGV[i])) end

if ARGV[4] == '1' then
  leave(owner, policy)
  -- Whoever talked to the relay has told of it, which ended the probe: this mail was none, and the next one probes.
  if redis.call('GET', PROBE) == owner then redis.call('DEL', PROBE) end
  go = {redis.call('HGET', LIMIT, 'connections') or nil}
end
write_counts()
return go
