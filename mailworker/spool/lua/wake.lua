-- Given: ids.

run_when_full()
local woken = 0
for _, id in ipairs(ids) do
  if redis.call('HGET', MAIL .. id, 'state') == 'queued' then
    look_again(id, now)
    redis.call('ZREM', RUNG, id)
    woken = woken + 1
  end
end
-- It may have been the probe's.
if woken == 1 and #ids == 1 then
  for _, relay in ipairs(RELAYS) do relay_probe_is_over(relay) end
end
write_changes()
return woken
