-- ARGV: id, payload, wait in ms (0: now), ring patience in ms, '1' if the caller chose the id, batch.
-- Returns {1 if the mail is new, 1 if the caller shall ring}.
local id, wait = ARGV[1], tonumber(ARGV[3])
if redis.call('EXISTS', mail_key(id)) == 1 then return {0, 0} end
local state = wait > 0 and 'deferred' or 'queued'
redis.call('HSET', mail_key(id), 'state', state, 'payload', ARGV[2], 'at', now, 'queue', '',
  'sequence', redis.call('INCR', SEQUENCE))
if ARGV[5] == '1' then redis.call('HSET', mail_key(id), 'keyed', 1) end
count(state, 1)
count('total:accepted', 1)
-- A doorbell each for a flood would only fill the broker: then the bridge rings for many at once.
local rings = wait == 0 and waiting() < pool_size() * tonumber(ARGV[6])
redis.call('ZADD', DUE, now + (rings and tonumber(ARGV[4]) or wait), id)
write_counts()
return {1, rings and 1 or 0}
