-- ARGV: ids whose doorbell died with the process that had it in hand. Those still in the queue are due now.
run_when_full()
local woken = 0
for _, id in ipairs(ARGV) do
  if redis.call('HGET', mail_key(id), 'state') == 'queued' then
    redis.call('ZADD', DUE, now, id)
    redis.call('ZREM', RUNG, id)
    woken = woken + 1
    if #ARGV == 1 then redis.call('DEL', PROBE) end  -- it may have been the probe's
  end
end
return woken
