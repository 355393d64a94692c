-- KEYS: legacy lists. ARGV: token, batch.
-- Returns {1 if the caller must ring the bridge now, ms until the next look, 1 if the lists are empty}.
local closed = relay_closed_for()
if closed > 0 then
  -- A probe that turned out to be no mail leaves the turn to the next one.
  if redis.call('EXISTS', PROBE) == 1 then closed = math.min(closed, 50) end
  return {0, closed, 0}
end
if work(KEYS, tonumber(ARGV[2])) then
  run_when_full()
  if redis.call('SET', BRIDGE_LOCK, ARGV[1], 'NX', 'PX', RUNG_LOCK_MS) then return {1, 0, 0} end
  -- The answer to this very call was lost, and it is asked again.
  if redis.call('GET', BRIDGE_LOCK) == ARGV[1] then return {1, 0, 0} end
  return {0, -1, 0}
end
local wait = 3600000
local first = redis.call('ZRANGE', DUE, 0, 0, 'WITHSCORES')
if first[2] then
  wait = tonumber(first[2]) - now
  if wait <= 0 then return {0, 1000, 0} end  -- enough doorbells are out: whoever answers one rings
end
for _, queue in ipairs(KEYS) do
  if length(queue) > 0 then return {0, wait, 0} end
end
return {0, wait, 1}
