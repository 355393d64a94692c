-- KEYS: legacy lists. ARGV: bridge's owner, batch. Its doorbells are out. Returns 1 if there is more to do now;
-- else the lock is given back, and whoever sees work next rings.
run_when_full()
redis.call('DEL', claim_key(ARGV[1]))
if redis.call('GET', BRIDGE_LOCK) ~= ARGV[1] then return 0 end
if work(KEYS, tonumber(ARGV[2])) then return 1 end
redis.call('DEL', BRIDGE_LOCK)
return 0
