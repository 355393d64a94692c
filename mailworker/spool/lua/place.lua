-- The relay's places: how many connections it bears is found out by what it refuses, and shared by all.
-- ARGV: what, owner, first and longest wait in ms until one more than it bears is tried, '1' where it gave no reason.
--   ask   may this owner connect? Returns {1 or 0, connections that the relay bears or 0}
--   up    it is connected. Returns the same
--   down  it is not any more
--   full  it was refused. Returns {1 if others are connected and work, so that this is no outage, connections}
run_when_full()
local what, owner = ARGV[1], ARGV[2]

-- Of an owner without a pulse the connection is gone, too.
local mine = false
local function others()
  local living = 0
  for _, name in ipairs(redis.call('ZRANGE', PLACES, 0, -1)) do
    if redis.call('HEXISTS', OWNERS, name) == 0 then
      redis.call('ZREM', PLACES, name)
    elseif name == owner then
      mine = true
    else
      living = living + 1
    end
  end
  return living
end
local function field(name) return tonumber(redis.call('HGET', LIMIT, name) or 0) end
local bears = field('connections')

if what == 'down' then
  redis.call('ZREM', PLACES, owner)
  return {1, bears}
end

if what == 'ask' then
  if bears > 0 and others() >= bears and not mine then
    if field('try_at') > now and field('try_at') - now <= field('interval') then return {0, bears} end
    -- One tries whether the relay bears one more by now.
    redis.call('HSET', LIMIT, 'tries', owner, 'try_at', now + field('interval'))
  end
  redis.call('ZADD', PLACES, now, owner)
  return {1, bears}
end

if what == 'up' then
  redis.call('ZADD', PLACES, now, owner)
  if bears == 0 then return {1, 0} end
  redis.call('HSET', LIMIT, 'refused', 0)
  local connected = others() + 1
  if connected > bears then
    bears = connected
    redis.call('HSET', LIMIT, 'connections', bears, 'interval', ARGV[3], 'try_at', now + 5000)
    redis.call('HDEL', LIMIT, 'tries')
    -- As many as there are children: nothing is left to be limited.
    if bears >= children() then redis.call('DEL', LIMIT); bears = 0 end
  end
  return {1, bears}
end

redis.call('ZREM', PLACES, owner)
local connected = others()
local moved = tonumber(redis.call('HGET', HEARD, ' moved') or 0)
-- Without a reason it may as well be an outage: others must have got something through just now.
if connected == 0 or (ARGV[5] == '1' and now - moved > 3000) then return {0, bears} end
if bears == 0 then
  bears = connected
  redis.call('HSET', LIMIT, 'connections', bears, 'refused', 0, 'interval', ARGV[3], 'try_at', now + ARGV[3])
elseif redis.call('HGET', LIMIT, 'tries') == owner then
  local interval = math.min(field('interval') * 2, tonumber(ARGV[4]))
  redis.call('HDEL', LIMIT, 'tries')
  redis.call('HSET', LIMIT, 'connections', math.min(bears, connected), 'interval', interval, 'try_at', now + interval)
elseif connected < bears and redis.call('HINCRBY', LIMIT, 'refused', 1) >= 3 then
  -- Three times in a row: not only that the relay has not noticed yet who left.
  bears = connected
  redis.call('HSET', LIMIT, 'connections', bears, 'refused', 0, 'try_at', now + field('interval'))
end
return {1, bears}
