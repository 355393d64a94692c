-- ARGV: id, payload, wait in ms (0: now), ring patience in ms, '1' if the caller chose the id, batch, this mail's
-- token, the same where the call is repeated.
-- Returns {its id where the mail is new or else '', 1 if the caller shall ring, what became of the first one}.
-- It reads no field: the application's user has no right to.
local id, wait = ARGV[1], tonumber(ARGV[3])
local day = '@PREFIX@day:' .. id
local known = redis.call('EXISTS', mail_key(id), day)
if known > 0 and redis.call('EXISTS', mail_key(id)) == 1 then
  local dead = redis.call('HEXISTS', mail_key(id), 'ended') == 1
  if ARGV[5] ~= '1' or not dead or redis.call('EXISTS', day) == 1 then
    local waits = redis.call('HEXISTS', mail_key(id), 'sequence') == 1
    if ARGV[5] ~= '1' or redis.call('GET', day) == ARGV[7] then
      -- The answer to this very call was lost, and its doorbell was not rung.
      return {id, waits and not dead and redis.call('ZSCORE', RUNG, id) and 1 or 0, ''}
    end
    return {'', 0, dead and 'is a dead letter' or waits and 'waits' or 'was sent'}
  end
  -- A dead letter of another day keeps its name, and swallows nobody.
  id = id .. '~' .. redis.sha1hex(call .. id):sub(1, 12)
elseif known > 0 then
  -- The answer to this very call was lost, and the mail was sent meanwhile.
  if redis.call('GET', day) == ARGV[7] then return {id, 0, ''} end
  if ARGV[5] == '1' then return {'', 0, 'was taken out'} end
end
if ARGV[5] == '1' then redis.call('SET', day, ARGV[7], 'EX', 86400) end
local state = wait > 0 and 'deferred' or 'queued'
local field, value = store(id, ARGV[2])
redis.call('HSET', mail_key(id), 'state', state, field, value, 'at', now, 'source', '',
  'sequence', redis.call('INCR', SEQUENCE))
if ARGV[5] == '1' then redis.call('HSET', mail_key(id), 'keyed', 1) end
if wait > 0 then redis.call('HSET', mail_key(id), 'since', now + wait) end
count(state, 1)
count('total:accepted', 1)
-- A doorbell each for a flood would only fill the broker: then the bridge rings for many at once.
local rings = wait == 0 and rung() < children() * tonumber(ARGV[6])
local patience = now + tonumber(ARGV[4])
redis.call('ZADD', DUE, rings and patience or now + wait, id)
if rings then
  redis.call('ZADD', RUNG, patience, id)
elseif ARGV[5] ~= '1' then
  -- The bridge may ring for it at once, and nothing is left of it once it is sent: a caller whose answer was lost asks
  -- again within this time.
  redis.call('SET', day, ARGV[7], 'EX', 60)
end
write_counts()
return {id, rings and 1 or 0, ''}
