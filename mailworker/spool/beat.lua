-- ARGV: worker, its pool's size, its living owners… The pulse of a worker: returns all owners with their beats.
redis.call('HSET', POOLS, ARGV[1], ARGV[2])
redis.call('HINCRBY', OWNERS, ARGV[1], 1)
for i = 3, #ARGV do
  if redis.call('HEXISTS', OWNERS, ARGV[i]) == 1 then redis.call('HINCRBY', OWNERS, ARGV[i], 1) end
end
return redis.call('HGETALL', OWNERS)
