-- ARGV: id, payload, wait in ms (0: now), ring patience in ms, '1' if the caller chose the id, batch.
-- Returns {1 if the mail is new, 1 if the caller shall ring}.
local id, wait = ARGV[1], tonumber(ARGV[3])
if redis.call('EXISTS', mail_key(id)) == 1 then return {0, 0} end
local state = wait > 0 and 'deferred' or 'queued'
local field, value = store(id, ARGV[2])
redis.call('HSET', mail_key(id), 'state', state, field, value, 'at', now, 'queue', '',
  'sequence', redis.call('INCR', SEQUENCE))
if ARGV[5] == '1' then redis.call('HSET', mail_key(id), 'keyed', 1) end
if wait > 0 then redis.call('HSET', mail_key(id), 'since', now + wait) end
count(state, 1)
count('total:accepted', 1)
-- A doorbell each for a flood would only fill the broker: then the bridge rings for many at once.
local rings = wait == 0 and rung() < pool_size() * tonumber(ARGV[6])
local patience = now + tonumber(ARGV[4])
redis.call('ZADD', DUE, rings and patience or now + wait, id)
if rings then redis.call('ZADD', RUNG, patience, id) end
write_counts()
return {1, rings and 1 or 0}
