-- Given: probe, ids, skip, most.

run_when_full()
local probed = 0
if probe then
  for _, relay in ipairs(RELAYS) do probed = math.max(probed, relay_probe_now(relay)) end
end
local named = #ids > 0
local waiting = named and ids or redis.call('ZRANGEBYSCORE', DUE, '(' .. now, '+inf', 'LIMIT', skip, most)
local hastened, left = 0, 0
for _, id in ipairs(waiting) do
  local record = redis.call('HMGET', MAIL .. id, 'state', 'reason')
  -- What a caller asked to wait for its time has no reason, and comes only where it is named.
  if record[1] == 'deferred' and (named or record[2] == 'deferred') then
    look_again(id, now)
    hastened = hastened + 1
  else
    left = left + 1
  end
end
write_changes()
return {hastened, left, probed}
