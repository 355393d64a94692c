-- Given: relay, owner, sent, commit, outcomes, end_of_batch.

run_when_full()
local ended = {}  -- mails that are not in this hand any more

-- The relay has it: that is final, whoever holds the record by now.
local function settle_sent(id)
  local record = redis.call('HMGET', MAIL .. id, 'state', 'keyed', 'size', 'blobs')
  local state, keyed = record[1], record[2]
  if not state or state == 'sent' then return end
  leave(id, state, 'sent', record[3], record[4])
  ended[#ended + 1] = id
  if keyed then remember(id, keyed) end
end

-- The state of a mail that is in this hand; nil for another.
local function in_this_hand(id)
  local record = redis.call('HMGET', MAIL .. id, 'state', 'owner')
  if record[2] == owner and is_in_hand(record[1]) then return record[1] end
end

local function may_go(id)
  local state = in_this_hand(id)
  if state == 'leased' then become(id, state, 'committing') end
  return state
end

-- What is behind the point cannot be foreseen: no caller can have chosen this id for a mail of its own.
local function id_of_a_part(id)
  local part
  repeat
    part = id .. '~' .. redis.call('HINCRBY', MAIL .. id, 'splits', 1) .. '.' .. redis.sha1hex(call .. id):sub(1, 12)
  until redis.call('EXISTS', MAIL .. part) == 0
  return part
end

-- The refused recipients of a mail that others got, or will get, are a dead letter of their own.
local function split(id, refused)
  local part = id_of_a_part(id)
  redis.call('HSET', MAIL .. id, 'part', part)
  local record = redis.call('HMGET', MAIL .. id, 'payload', 'size', 'at', 'source', 'tries', 'origin', 'sequence',
    'blobs', 'expires')
  local payload, size, at, source, tries, origin, sequence, blobs, expires = unpack(record)
  if size then redis.call('SORT', PAYLOAD .. id, 'BY', 'nosort', 'STORE', PAYLOAD .. part) end
  redis.call('HSET', MAIL .. part, size and 'size' or 'payload', size or payload, 'at', at, 'source', source or '',
    'tries', tries or 0, 'rcpt', refused.rcpt, 'origin', origin or id)
  if sequence then redis.call('HSET', MAIL .. part, 'sequence', sequence) end
  if expires then redis.call('HSET', MAIL .. part, 'expires', expires) end
  if blobs then
    redis.call('HSET', MAIL .. part, 'blobs', blobs)
    need_blobs(blobs, 1)
  end
  bury(part, nil, refused.reason, refused.detail, refused.code, 'failed')
end

local function settle_one(outcome)
  local id, kind = outcome.id, outcome.kind
  local key, state = MAIL .. id, in_this_hand(id)
  if not state then return end
  if kind ~= 'returned' and kind ~= 'further' then redis.call('HINCRBY', key, 'tries', 1) end
  if outcome.in_doubt then doubt(id) end
  if outcome.rcpt then redis.call('HSET', key, 'rcpt', outcome.rcpt) end
  if outcome.refused then split(id, outcome.refused) end
  if kind == 'further' then  -- its next transaction is committed anew
    if state == 'committing' then become(id, state, 'leased') end
    return
  end
  ended[#ended + 1] = id
  if kind == 'failed' or kind == 'held' then
    return bury(id, state, outcome.reason, outcome.detail, outcome.code, kind)
  end
  redis.call('HDEL', key, 'suspect', 'deaths')
  if kind == 'deferred' then
    become(id, state, 'deferred', now + outcome.delay, 'reason', 'deferred', 'detail', outcome.detail,
      'code', outcome.code)
  else
    if outcome.waits then redis.call('HSET', key, 'since', now + outcome.delay) end
    become(id, state, 'queued', now + outcome.delay)
  end
end

for _, id in ipairs(sent) do settle_sent(id) end
relay_took(relay, #ended)
local go, bears = {}, 0
for _, id in ipairs(commit) do
  if may_go(id) then go[#go + 1] = id end
end
for _, outcome in ipairs(outcomes) do settle_one(cjson.decode(outcome)) end
write_all('SREM', LEASE .. owner, ended)
if end_of_batch then
  begin_anew(owner)
  -- Whoever talked to the relay has told of it, which ended the probe: this mail was none, and the next one probes.
  relay_probe_of(relay, owner)
  bears = relay_bears(relay)
end
write_changes()
return {go, bears}
