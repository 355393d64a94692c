-- Given: numbers.

-- Numbers are kept so long, in ms, and so many of them at most.
local KEPT_MS, KEPT = 86400000, 100000

run_when_full()
for _, number in ipairs(numbers) do redis.call('ZADD', LATE, now, number) end
redis.call('ZREMRANGEBYSCORE', LATE, '-inf', now - KEPT_MS)
redis.call('ZREMRANGEBYRANK', LATE, 0, -KEPT - 1)
return #numbers
