-- Is there something to do for the bridge? Its doorbells are bounded: RUNG holds the mails for which one is out and
-- not answered, by the time at which it is given up.

-- A doorbell that is not answered in this time is rung again.
local DOORBELL_MS = 45000

-- The same, where its producer has yet to ring: longer than a lost answer takes to be missed, and asked for again.
local PRODUCER_MS = 15000

-- Full doorbells for each pool child that may be out.
local DOORBELLS_A_CHILD = 2

-- Pool children that there is any use in ringing, for each connection that the relay bears.
local CHILDREN_A_CONNECTION = 4

local function rung() return redis.call('ZCOUNT', RUNG, now, '+inf') end

local function children()
  local size = 0
  for _, number in ipairs(redis.call('HVALS', POOLS)) do size = size + tonumber(number) end
  return math.max(size, 1)
end

-- The pool children that there is any use in ringing.
local function pool_size()
  local size, bears = children(), 0
  for _, relay in ipairs(RELAYS) do
    local connections = relay_bears(relay)
    if connections == 0 then return size end
    bears = bears + connections
  end
  return math.min(size, bears * CHILDREN_A_CONNECTION)
end

-- Mails for which doorbells may be rung now.
local function doorbells_left(size) return size * BATCH * DOORBELLS_A_CHILD - rung() end

-- How many entries wait in a legacy list. A key of another type is no list, and stops nothing else.
local function length(list)
  local entries = redis.pcall('LLEN', list)
  return type(entries) == 'number' and entries or 0
end

local function entries_in(lists)
  local entries = 0
  for _, list in ipairs(lists) do entries = entries + length(list) end
  return entries
end

-- When somebody must look at a mail again, at the earliest; nil where none waits.
local function first_due()
  local first = redis.call('ZRANGE', DUE, 0, 0, 'WITHSCORES')
  return tonumber(first[2])
end

local function there_is_work(lists)
  if not relay_to_try() or doorbells_left(pool_size()) <= 0 then return false end
  local first = first_due()
  return first ~= nil and first <= now or entries_in(lists) > 0
end
