-- KEYS: legacy lists. ARGV: worker, its pool's size, its living owners… The pulse of a worker: returns all owners with
-- their beats.
run_when_full()
-- A worker that starts asks the relay at once: what kept it from working may have been mended.
if redis.call('HEXISTS', OWNERS, ARGV[1]) == 0 then probe_now() end
redis.call('HSET', POOLS, ARGV[1], ARGV[2])
redis.call('HINCRBY', OWNERS, ARGV[1], 1)
for i = 3, #ARGV do
  if redis.call('HEXISTS', OWNERS, ARGV[i]) == 1 then redis.call('HINCRBY', OWNERS, ARGV[i], 1) end
end

-- For people to see, and never to declare anybody dead: when each worker was heard of, and when a mail last moved, or
-- none was waiting.
local counts = redis.call('HMGET', COUNTS, 'total:sent', 'total:failed', 'total:held', 'total:deferred', 'queued',
  'leased', 'committing')
local outcomes, waiting = 0, 0
for i = 1, 4 do outcomes = outcomes + tonumber(counts[i] or 0) end
for i = 5, 7 do waiting = waiting + tonumber(counts[i] or 0) end
for _, queue in ipairs(KEYS) do waiting = waiting + length(queue) end
local moved = waiting == 0 or redis.call('HGET', HEARD, ' outcomes') ~= tostring(outcomes)
redis.call('HSET', HEARD, ARGV[1], now, ' outcomes', outcomes)
if moved then redis.call('HSET', HEARD, ' moved', now) end

-- Redis's clock was set back: everything that waits would wait so much longer.
local last = tonumber(redis.call('GET', '@PREFIX@clock') or now)
redis.call('SET', '@PREFIX@clock', now)
if last - now > 10000 then
  local due = redis.call('ZRANGE', DUE, 0, -1, 'WITHSCORES')
  for i = 1, #due, 2 do redis.call('ZADD', DUE, due[i + 1] - (last - now), due[i]) end
  redis.call('DEL', BRIDGE_LOCK, PROBE, RUNG)
  redis.call('HSET', HEARD, ' moved', now)
end
return redis.call('HGETALL', OWNERS)
