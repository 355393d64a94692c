-- How a mail of new code is accepted, alone or with others. No field of a record is read here, since the application's
-- user has no right to: whether there is one, and how long it is, is all that is asked.
--
-- A mail's `mark` is its call's token, the same where that is repeated, and behind it the digest of what the mail is,
-- or nothing. The value of DAY is the mark of who was accepted.

-- Where nobody chose the id: the bridge may ring for it at once, and nothing is left of it once it is sent, but a
-- caller whose answer was lost asks again within so many seconds.
local OTHER_KNOWN = 60

-- Octets of a token.
local TOKEN = 9

-- It is this very call that is repeated: the answer to it was lost.
local AGAIN = 'again'

-- A dead letter of an earlier day keeps its name, and swallows nobody. What is behind the sign cannot be foreseen, and
-- is the same where the call is repeated.
local function name_beside(id, mark) return id .. '~' .. redis.sha1hex(mark:sub(1, TOKEN) .. id):sub(1, 12) end

-- What became of the mail that has this id: 'another', AGAIN, or words; nil where this one is to be written. And the
-- id under which it is to be written, or was by this very call; and then, whether it waits to be rung for.
local function known(id, chosen, mark)
  if redis.call('EXISTS', MAIL .. id, DAY .. id) == 0 then return nil, id end
  local first, digest = redis.call('GET', DAY .. id), mark:sub(TOKEN + 1)
  local is_there = redis.call('EXISTS', MAIL .. id) == 1
  local function has(field) return redis.call('HEXISTS', MAIL .. id, field) == 1 end

  -- Nobody can tell where one of the two came without a digest.
  local function is_another()
    if digest == '' then return false end
    if first and #first > TOKEN then return first:sub(TOKEN + 1) ~= digest end
    return redis.call('HSTRLEN', MAIL .. id, 'keyed') > 1 and not has('is:' .. digest)
  end

  local by_this_call = first and first:sub(1, TOKEN) == mark:sub(1, TOKEN)
  if by_this_call or (is_there and not chosen) then
    local beside = name_beside(id, mark)
    if by_this_call and redis.call('EXISTS', MAIL .. beside) == 1 then id = beside end
    return AGAIN, id, has('sequence') and not has('ended') and redis.call('ZSCORE', RUNG, id)
  end
  if not chosen then return nil, id end
  if is_there and has('ended') and not first then return nil, name_beside(id, mark) end
  if is_another() then return 'another' end
  if not is_there then return 'was taken out' end
  return has('ended') and 'is a dead letter' or has('sequence') and 'waits' or 'was sent'
end

-- The record, with all that is about it: of the mail whose caller calls it `id`, under this name. The first write is
-- one that a full Redis refuses.
local function write_mail(id, name, payload, wait_ms, chosen, mark, expires, blobs, rings, sequence)
  if chosen then redis.call('SET', DAY .. id, mark, 'EX', IDEMPOTENCY_SECONDS) end
  local field, value = store(name, payload)
  become(name, nil, wait_ms > 0 and 'deferred' or 'queued', now + (rings and PRODUCER_MS or wait_ms),
    field, value, 'at', now, 'source', '', 'sequence', sequence or redis.call('INCR', SEQUENCE))
  count('total:accepted', 1)
  if chosen then known_by(name, mark:sub(TOKEN + 1)) end
  if wait_ms > 0 then redis.call('HSET', MAIL .. name, 'since', now + wait_ms) end
  if expires > 0 then redis.call('HSET', MAIL .. name, 'expires', expires) end
  if blobs ~= '' then
    redis.call('HSET', MAIL .. name, 'blobs', blobs)
    need_blobs(blobs, 1)
  end
  if rings then redis.call('ZADD', RUNG, now + PRODUCER_MS, name) end
end
