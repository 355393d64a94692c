-- How a mail of new code is accepted, alone or with others. No field of a record is read here, since the application's
-- user has no right to: whether there is one, and how long it is, is all that is asked.

-- Where nobody chose the id: the bridge may ring for it at once, and nothing is left of it once it is sent, but a
-- caller whose answer was lost asks again within so many seconds.
local OTHER_KNOWN = 60

-- Octets of a call's token, with which the value of DAY begins. Behind it is what the mail is known by, if anything.
local TOKEN = 9

-- It is this very call that is repeated: the answer to it was lost.
local AGAIN = 'again'

-- What became of the mail that has this id, in words, or AGAIN; nil where this one is to be written.
local function known(id, chosen, token)
  if redis.call('EXISTS', MAIL .. id, DAY .. id) == 0 then return nil end
  local first = redis.call('GET', DAY .. id)
  if first and first:sub(1, TOKEN) == token then return AGAIN end
  if redis.call('EXISTS', MAIL .. id) == 0 then return chosen and 'was taken out' or nil end
  if not chosen then return AGAIN end
  if redis.call('HEXISTS', MAIL .. id, 'ended') == 1 then return first and 'is a dead letter' or nil end
  return redis.call('HEXISTS', MAIL .. id, 'sequence') == 1 and 'waits' or 'was sent'
end

-- Is the mail that has this id another one? Nobody can tell where one of the two came without a digest.
local function is_another(id, digest)
  if digest == '' then return false end
  local first = redis.call('GET', DAY .. id)
  if first and #first > TOKEN then return first:sub(TOKEN + 1) ~= digest end
  return redis.call('HSTRLEN', MAIL .. id, 'keyed') > 1 and redis.call('HEXISTS', MAIL .. id, 'is:' .. digest) == 0
end

-- A dead letter of an earlier day keeps its name, and swallows nobody. What is behind the sign cannot be foreseen, and
-- is the same where the call is repeated.
local function name_beside(id, token) return id .. '~' .. redis.sha1hex(token .. id):sub(1, 12) end

-- The id under which a mail is written.
local function free_name(id, token)
  return redis.call('EXISTS', MAIL .. id) == 1 and name_beside(id, token) or id
end

-- The id under which it was written by this very call.
local function name_given(id, token)
  local beside = name_beside(id, token)
  return redis.call('EXISTS', MAIL .. beside) == 1 and beside or id
end

-- The answer to this very call was lost, and its doorbell was not rung.
local function waits_to_be_rung_for(id)
  return redis.call('HEXISTS', MAIL .. id, 'sequence') == 1 and redis.call('HEXISTS', MAIL .. id, 'ended') == 0
    and redis.call('ZSCORE', RUNG, id) and true or false
end

-- A doorbell each for a flood would only fill the broker: then the bridge rings for many at once.
local function caller_may_ring() return rung() < children() * BATCH end

-- The id that a caller chose, for the window within which it accepts no other mail. The first write: a full Redis
-- refuses here.
local function keep_id(id, token, digest)
  redis.call('SET', DAY .. id, token .. digest, 'EX', IDEMPOTENCY_SECONDS)
end

-- The record, with all that is about it.
local function write_mail(id, payload, wait_ms, rings, chosen, sequence, digest, expires, blobs)
  local field, value = store(id, payload)
  become(id, nil, wait_ms > 0 and 'deferred' or 'queued', now + (rings and PRODUCER_MS or wait_ms),
    field, value, 'at', now, 'source', '', 'sequence', sequence)
  if wait_ms > 0 then redis.call('HSET', MAIL .. id, 'since', now + wait_ms) end
  if expires > 0 then redis.call('HSET', MAIL .. id, 'expires', expires) end
  if chosen then known_by(id, digest) end
  if blobs ~= '' then
    redis.call('HSET', MAIL .. id, 'blobs', blobs)
    hold_blobs(blobs)
  end
  if rings then redis.call('ZADD', RUNG, now + PRODUCER_MS, id) end
end
