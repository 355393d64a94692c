-- A relay's places. How many connections it bears is found out by what it refuses, and shared by all.

-- One more than it bears is tried after so many ms, then after twice as long, up to the longest.
local FIRST_ONE_MORE = 120000

local LONGEST_ONE_MORE = 1200000

-- Where the last one more was taken, the next is tried so soon.
local SOON_ONE_MORE = 5000

-- So many refusals in a row show that it bears fewer: not only that it has not noticed yet who left.
local REFUSED_PLACES = 3

-- Others got something through so many ms ago at most: then a refusal without a reason is no outage.
local MOVED_LATELY = 3000

-- A number of the limit: `connections`, `interval`, `try_at`, `refused`; 0 where there is none.
local function limit_of(relay, name) return tonumber(redis.call('HGET', LIMIT .. relay, name) or 0) end

-- 0 where no limit is known.
local function relay_bears(relay) return limit_of(relay, 'connections') end

local function relay_forget_limit(relay) redis.call('DEL', LIMIT .. relay) end

local function relay_enter(relay, owner) redis.call('ZADD', PLACES .. relay, now, owner) end

local function relay_leave(relay, owner) redis.call('ZREM', PLACES .. relay, owner) end

-- How many others are connected, and whether this owner is. Of an owner without a pulse the connection is gone, too.
local function relay_others(relay, owner)
  local others, mine = 0, false
  for _, name in ipairs(redis.call('ZRANGE', PLACES .. relay, 0, -1)) do
    if redis.call('HEXISTS', OWNERS, name) == 0 then
      relay_leave(relay, name)
    elseif name == owner then
      mine = true
    else
      others = others + 1
    end
  end
  return others, mine
end

-- May this owner have a place? Where all are taken, one tries from time to time whether there is one more.
local function relay_has_a_place(relay, owner)
  local bears = relay_bears(relay)
  if bears == 0 then return true end
  local others, mine = relay_others(relay, owner)
  if others < bears or mine then return true end
  local try_at, interval = limit_of(relay, 'try_at'), limit_of(relay, 'interval')
  if try_at > now and try_at - now <= interval then return false end
  redis.call('HSET', LIMIT .. relay, 'tries', owner, 'try_at', now + interval)
  return true
end

-- One connection more stands, of `size` children: where the relay bears more than was known, that is learnt.
local function relay_connected(relay, owner, size)
  local key, bears = LIMIT .. relay, relay_bears(relay)
  if bears == 0 then return end
  redis.call('HSET', key, 'refused', 0)
  local connected = relay_others(relay, owner) + 1
  if connected <= bears then return end
  redis.call('HSET', key, 'connections', connected, 'interval', FIRST_ONE_MORE, 'try_at', now + SOON_ONE_MORE)
  redis.call('HDEL', key, 'tries')
  -- As many as there are children: nothing is left to be limited.
  if connected >= size then relay_forget_limit(relay) end
end

-- One connection more was refused. Returns false where that may be an outage, and nothing is learnt from it.
local function relay_refused_one_more(relay, owner, wordless)
  local key, bears = LIMIT .. relay, relay_bears(relay)
  local connected = relay_others(relay, owner)
  local moved = tonumber(redis.call('HGET', HEARD, ' moved') or 0)
  -- Without a reason it may as well be an outage: others must have got something through just now.
  if connected == 0 or (wordless and now - moved > MOVED_LATELY) then return false end
  if bears == 0 then
    redis.call('HSET', key, 'connections', connected, 'refused', 0, 'interval', FIRST_ONE_MORE,
      'try_at', now + FIRST_ONE_MORE)
  elseif redis.call('HGET', key, 'tries') == owner then
    local interval = math.min(limit_of(relay, 'interval') * 2, LONGEST_ONE_MORE)
    redis.call('HDEL', key, 'tries')
    redis.call('HSET', key, 'connections', math.min(bears, connected), 'interval', interval, 'try_at', now + interval)
  elseif connected < bears and redis.call('HINCRBY', key, 'refused', 1) >= REFUSED_PLACES then
    redis.call('HSET', key, 'connections', connected, 'refused', 0, 'try_at', now + limit_of(relay, 'interval'))
  end
  return true
end
