-- Given: worker, size, owners, lists.

-- Redis's clock was set back by more than this, in ms: everything that waits would wait so much longer.
local SET_BACK = 10000

run_when_full()
-- A worker that starts asks the relays at once: what kept it from working may have been mended.
if redis.call('HEXISTS', OWNERS, worker) == 0 then
  for _, relay in ipairs(RELAYS) do relay_probe_now(relay) end
end
redis.call('HSET', POOLS, worker, size)
show_life(worker)
for _, owner in ipairs(owners) do
  if redis.call('HEXISTS', OWNERS, owner) == 1 then show_life(owner) end
end

-- For people to see, and never to declare anybody dead: when each worker was heard of, and when a mail last moved, or
-- none was waiting.
local function sum(...)
  local total = 0
  for _, number in ipairs(redis.call('HMGET', COUNTS, ...)) do total = total + tonumber(number or 0) end
  return total
end
local outcomes = sum('total:sent', 'total:failed', 'total:held', 'total:deferred')
local waiting = sum('queued', 'leased', 'committing') + entries_in(lists)
local moved = waiting == 0 or redis.call('HGET', HEARD, ' outcomes') ~= tostring(outcomes)
redis.call('HSET', HEARD, worker, now, ' outcomes', outcomes)
if moved then redis.call('HSET', HEARD, ' moved', now) end

local function set_back(ms)
  local waits = redis.call('ZRANGE', DUE, 0, -1, 'WITHSCORES')
  for i = 1, #waits, 2 do look_again(waits[i], waits[i + 1] - ms) end
  write_changes()
  lock_give_back()
  for _, relay in ipairs(RELAYS) do relay_probe_is_over(relay) end
  redis.call('DEL', RUNG)
  redis.call('HSET', HEARD, ' moved', now)
end
local last = tonumber(redis.call('GET', CLOCK) or now)
redis.call('SET', CLOCK, now)
if last - now > SET_BACK then set_back(last - now) end
return redis.call('HGETALL', OWNERS)
