-- What an owner has in hand: LEASE holds what it took, CLAIM what its bridge claimed and has not rung for yet.

-- So many deaths of the process that had this mail alone in hand make it a dead letter.
local POISON_DEATHS = 3

local DOUBTS_KEPT = 10000

-- The relay may have this mail. The last of these are kept by id, which is in their Message-ID.
local function doubt(id)
  count('total:in_doubt', 1)
  redis.call('HINCRBY', MAIL .. id, 'doubts', 1)
  redis.call('ZADD', DOUBTS, now, id)
  redis.call('ZREMRANGEBYRANK', DOUBTS, 0, -DOUBTS_KEPT - 1)
end

-- What became of mails that no owner tells of, for the log: 'doubt <id>' or '<reason> <id>'.
local abandoned = {}

-- Its caller wants it sent by then or not at all: `expires` is the record's field, false where there is none.
local function is_expired(expires) return expires and tonumber(expires) <= now end

local function expire(id, state)
  abandoned[#abandoned + 1] = 'expired ' .. id
  bury(id, state, 'expired', 'it was to be sent by a time that had passed when its turn came', 0, 'failed')
end

-- The owner of this record is gone. `died` is true where its process died, so that the attempt counts.
local function abandon(id, died)
  local key = MAIL .. id
  local record = redis.call('HMGET', key, 'state', 'alone', 'deaths')
  local state, alone, deaths = record[1], record[2], record[3]
  if state == 'queued' then
    look_again(id, now)
    redis.call('ZREM', RUNG, id)
    return
  end
  if not is_in_hand(state) then return end
  if died then
    redis.call('HSET', key, 'suspect', 1)
    if alone == '1' then deaths = redis.call('HINCRBY', key, 'deaths', 1) end
  end
  if state == 'committing' then
    doubt(id)
    if IN_DOUBT == 'hold' then
      abandoned[#abandoned + 1] = 'in_doubt ' .. id
      local detail = 'the worker died after it began to send; the relay may have the mail'
      return bury(id, state, 'in_doubt', detail, 0, 'held')
    end
    abandoned[#abandoned + 1] = 'doubt ' .. id
  end
  if died and tonumber(deaths or 0) >= POISON_DEATHS then
    abandoned[#abandoned + 1] = 'poison ' .. id
    return bury(id, state, 'poison', 'three attempts ended with the death of the process', 0, 'failed')
  end
  become(id, state, 'queued', now)
end

-- The owner begins something new: what it took and did not end, because the answer never reached it, goes back now.
local function begin_anew(owner)
  for _, id in ipairs(redis.call('SMEMBERS', LEASE .. owner)) do
    if redis.call('HGET', MAIL .. id, 'owner') == owner then abandon(id, false) end
  end
  redis.call('DEL', LEASE .. owner, CLAIM .. owner)
end

-- A beat beside the pulse: who has something in hand is missed when it dies, however soon.
local function show_life(owner) redis.call('HINCRBY', OWNERS, owner, 1) end
