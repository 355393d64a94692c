-- ARGV: worker, its pool's size, its living owners… The pulse of a worker: returns all owners with their beats.
run_when_full()
redis.call('HSET', POOLS, ARGV[1], ARGV[2])
redis.call('HINCRBY', OWNERS, ARGV[1], 1)
for i = 3, #ARGV do
  if redis.call('HEXISTS', OWNERS, ARGV[i]) == 1 then redis.call('HINCRBY', OWNERS, ARGV[i], 1) end
end

-- Redis's clock was set back: everything that waits would wait so much longer.
local last = tonumber(redis.call('GET', P .. 'clock') or now)
redis.call('SET', P .. 'clock', now)
if last - now > 10000 then
  local due = redis.call('ZRANGE', DUE, 0, -1, 'WITHSCORES')
  for i = 1, #due, 2 do redis.call('ZADD', DUE, due[i + 1] - (last - now), due[i]) end
  redis.call('DEL', RING, PROBE, RUNG)
end
return redis.call('HGETALL', OWNERS)
