-- ARGV: numbers of calls that are given up. Where they have not arrived yet, they do nothing when they do.
run_when_full()
for _, number in ipairs(ARGV) do redis.call('ZADD', LATE, now, number) end
redis.call('ZREMRANGEBYSCORE', LATE, '-inf', now - 86400000)
redis.call('ZREMRANGEBYRANK', LATE, 0, -100001)
return #ARGV
