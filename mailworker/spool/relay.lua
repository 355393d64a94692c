-- ARGV: 'up', or 'down', text, '1' if only the operator can mend it, failures that open, first and longest
-- interval in ms, the relay's host and port. Returns {1 if the breaker is open, ms until the next probe, 1 if this call opened or closed it, or was its probe}.
run_when_full()
if ARGV[1] == 'up' then
  local was = redis.call('HEXISTS', RELAY, 'open_until')
  if redis.call('EXISTS', RELAY) == 1 then redis.call('DEL', RELAY, PROBE) end
  return {0, 0, was}
end
local failures = redis.call('HINCRBY', RELAY, 'failures', 1)
redis.call('HSET', RELAY, 'text', ARGV[2], 'configuration', ARGV[3], 'failed_at', now, 'place', ARGV[7] or '')
if redis.call('HEXISTS', RELAY, 'since') == 0 then redis.call('HSET', RELAY, 'since', now) end
local interval = tonumber(redis.call('HGET', RELAY, 'interval') or 0)
local was = redis.call('HEXISTS', RELAY, 'open_until')
if was == 0 and ARGV[3] ~= '1' and failures < tonumber(ARGV[4]) then return {0, 0, 0} end
-- Of several children that fail together only the first one widens the interval.
local till = tonumber(redis.call('HGET', RELAY, 'open_until') or 0)
if was == 1 and till > now then return {1, till - now, 0} end
interval = interval == 0 and tonumber(ARGV[5]) or math.min(interval * 2, tonumber(ARGV[6]))
redis.call('HSET', RELAY, 'interval', interval, 'open_until', now + interval)
redis.call('DEL', PROBE)
return {1, interval, 1}
