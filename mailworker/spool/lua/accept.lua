-- Given: id, payload, wait_ms, chosen, token.

-- It reads no field of a record: the application's user has no right to.

-- How long an id that the caller chose is known, so that it accepts no second mail. In a flood any other one is, too:
-- the bridge may ring for it at once, and nothing is left of it once it is sent, but a caller whose answer was lost
-- asks again within this time. In seconds.
local CHOSEN_KNOWN, OTHER_KNOWN = 86400, 60

local mail, day = MAIL .. id, DAY .. id

local function refuse(first) return {'', 0, first} end

-- This id is known. Returns the answer, or nil where it is a dead letter's of another day.
local function known_already()
  local asked_again = redis.call('GET', day) == token
  if redis.call('EXISTS', mail) == 0 then
    -- The answer to this very call was lost, and the mail was sent meanwhile.
    if asked_again then return {id, 0, ''} end
    return chosen and refuse('was taken out') or nil
  end
  local dead = redis.call('HEXISTS', mail, 'ended') == 1
  if chosen and dead and redis.call('EXISTS', day) == 0 then return nil end
  local waits = redis.call('HEXISTS', mail, 'sequence') == 1
  if not chosen or asked_again then
    -- The answer to this very call was lost, and its doorbell was not rung.
    return {id, waits and not dead and redis.call('ZSCORE', RUNG, id) and 1 or 0, ''}
  end
  return refuse(dead and 'is a dead letter' or waits and 'waits' or 'was sent')
end

if redis.call('EXISTS', mail, day) > 0 then
  local answer = known_already()
  if answer then return answer end
  -- A dead letter of another day keeps its name, and swallows nobody.
  if redis.call('EXISTS', mail) == 1 then
    id = id .. '~' .. redis.sha1hex(call .. id):sub(1, 12)
    mail = MAIL .. id
  end
end
if chosen then redis.call('SET', day, token, 'EX', CHOSEN_KNOWN) end

-- A doorbell each for a flood would only fill the broker: then the bridge rings for many at once.
local rings = wait_ms == 0 and rung() < children() * BATCH
local field, value = store(id, payload)
become(id, nil, wait_ms > 0 and 'deferred' or 'queued', now + (rings and PRODUCER_MS or wait_ms),
  field, value, 'at', now, 'source', '', 'sequence', redis.call('INCR', SEQUENCE))
count('total:accepted', 1)
if chosen then redis.call('HSET', mail, 'keyed', 1) end
if wait_ms > 0 then redis.call('HSET', mail, 'since', now + wait_ms) end
if rings then
  redis.call('ZADD', RUNG, now + PRODUCER_MS, id)
elseif not chosen then
  redis.call('SET', day, token, 'EX', OTHER_KNOWN)
end
write_changes()
return {id, rings and 1 or 0, ''}
