-- The bridge's lock. Its holder is a bridge's owner, or the token of one who rings: its owner, a blank and a number.

-- A bridge at work keeps it so long.
local BRIDGE_MS = 10000

-- Who rings keeps it so long, unless a bridge answers.
local RINGER_MS = 5000

local function lock_holder() return redis.call('GET', BRIDGE_LOCK) end

-- The bridge that answers takes it over, and keeps it.
local function lock_keep(owner) redis.call('SET', BRIDGE_LOCK, owner, 'PX', BRIDGE_MS) end

-- True where it is this token's now, or was already: the answer to this very call was lost, and it is asked again.
local function lock_take(token)
  return redis.call('SET', BRIDGE_LOCK, token, 'NX', 'PX', RINGER_MS) or lock_holder() == token
end

local function lock_give_back() redis.call('DEL', BRIDGE_LOCK) end

local function lock_belongs_to(owner)
  local holder = lock_holder()
  return holder and (holder == owner or holder:sub(1, #owner + 1) == owner .. ' ')
end
