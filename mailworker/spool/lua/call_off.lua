-- Given: numbers.

-- Numbers are kept so long, in ms, and so many of them at most.
local KEPT_MS, KEPT = 86400000, 100000

run_when_full()
for _, number in ipairs(numbers) do redis.call('ZADD', CALLED_OFF, now, number) end
redis.call('ZREMRANGEBYSCORE', CALLED_OFF, '-inf', now - KEPT_MS)
redis.call('ZREMRANGEBYRANK', CALLED_OFF, 0, -KEPT - 1)
return #numbers
