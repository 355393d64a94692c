-- Given: owner, token, most, most_octets, random, when_full, lists.

-- Read from the end: the steps are named there.

local size = pool_size()
local together, alone, claimed = {}, {}, {}

-- Somebody will ring for this mail: a suspect goes alone.
local function hand_out(id, suspect)
  local ids = suspect and alone or together
  ids[#ids + 1] = id
  claimed[#claimed + 1] = id
end

local function answer(locked, lone)
  write_changes()
  return {together, alone, size, locked and 1 or 0, lone and 1 or 0, abandoned}
end

local function another_has_the_lock()
  local holder = lock_holder()
  return token ~= '' and holder ~= token and holder ~= owner
end

-- How many mails the relays and the doorbells that are out have room for, and the relay that is to be probed, if any.
local function room_for_mails()
  local relay = relay_to_try()
  if not relay then return 0 end
  redis.call('ZREMRANGEBYSCORE', RUNG, '-inf', now)
  local probed = relay_is_open(relay) and relay or nil
  return math.min(probed and 1 or most, doorbells_left(size)), probed
end

-- The part of the room for what is due, where entries wait, too.
local function share_of_the_due(room, probed)
  if entries_in(lists) == 0 then return room end
  if probed and relay_probes_the_lists(probed) then return 0 end
  return math.max(1, math.floor(room / 2))
end

-- Is this mail in the hand of somebody who lives?
local function has_an_owner(id, owner_of_it)
  return redis.call('HEXISTS', OWNERS, owner_of_it) == 1 and redis.call('SISMEMBER', LEASE .. owner_of_it, id) == 1
end

-- Retries, lost doorbells, leases that ended.
local function claim_one_due(id)
  local record = redis.call('HMGET', MAIL .. id, 'state', 'owner', 'suspect', 'expires')
  local state, expires = record[1], record[4]
  if is_in_hand(state) then
    if has_an_owner(id, record[2]) then return look_again(id, now + DOORBELL_MS) end
    abandon(id, true)
    record = redis.call('HMGET', MAIL .. id, 'state', 'owner', 'suspect')
    state = record[1]
  end
  if not state then return redis.call('ZREM', DUE, id) end
  if is_expired(expires) and (state == 'deferred' or state == 'queued') then return expire(id, state) end
  if state == 'deferred' then
    become(id, state, 'queued', now + DOORBELL_MS)
  elseif state == 'queued' then
    look_again(id, now + DOORBELL_MS)
  else
    return
  end
  hand_out(id, record[3])
end

local function claim_due(share)
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', DUE, '-inf', now, 'LIMIT', 0, share)) do claim_one_due(id) end
end

-- The list's last entry becomes the payload of this mail, and no script sees it: 0.1 ms for a MiB, and not 1.4. Returns
-- its octets in Redis's memory, which are a little more than its own; nil where there is no entry. Before Redis 7 SORT
-- walks through the whole list to get there, and LMOVE shows the entry all the same.
local function move_last(list, id)
  local last = redis.call('LLEN', list) - 1
  if last < 0 then return nil end
  if redis.REDIS_VERSION_NUM then
    redis.call('SORT', list, 'BY', 'nosort', 'LIMIT', last, 1, 'STORE', PAYLOAD .. id)
    redis.call('LTRIM', list, 0, -2)
  else
    redis.call('LMOVE', list, PAYLOAD .. id, 'RIGHT', 'LEFT')
  end
  return redis.call('MEMORY', 'USAGE', PAYLOAD .. id)
end

-- Takes the list's last entry. Returns the field for its record and its value, or nil where there is no entry.
local function take_last(list, id, likely_large)
  local octets = likely_large and move_last(list, id)
  if octets and octets > LARGE then return 'size', octets end
  local payload = redis.call('RPOP', octets and PAYLOAD .. id or list)
  if payload then return store(id, payload) end
end

-- Entries of the lists, oldest first, each with a record in the same step.
local function claim_entries(room)
  local octets = 0
  local reserved = math.min(room, entries_in(lists))
  local sequence = redis.call('INCRBY', SEQUENCE, reserved) - reserved

  local function drain(list, share)
    if length(list) == 0 then return end  -- or it is no list
    local field, value
    while share > 0 and room > 0 and octets < most_octets do
      local id = string.format('%012x', sequence + 1) .. random
      field, value = take_last(list, id, field == 'size')  -- large ones come in series
      if not field then break end
      sequence = sequence + 1
      become(id, nil, 'queued', now + DOORBELL_MS, field, value, 'at', now, 'source', list)
      count('total:claimed', 1)
      hand_out(id)
      room = room - 1
      share = share - 1
      octets = octets + (field == 'size' and value / 4 or #value)
    end
  end

  -- Each list has its share of the room, then whoever has more: a long one does not starve the others.
  for number, list in ipairs(lists) do drain(list, math.ceil(room / (#lists - number + 1))) end
  for _, list in ipairs(lists) do drain(list, room) end
end

-- Doorbells for them will be out, and their bridge is missed if it dies.
local function hand_over(probed)
  if #claimed == 0 then return end
  if probed then relay_probe(probed, owner) end
  local doorbells = {}
  for _, id in ipairs(claimed) do
    doorbells[#doorbells + 1] = now + DOORBELL_MS
    doorbells[#doorbells + 1] = id
  end
  write_all('ZADD', RUNG, doorbells)
  write_all('SADD', CLAIM .. owner, claimed)
  show_life(owner)
end

-- One mail on an idle system: the bridge delivers it itself, so the lock is free for the next one.
local function is_lone()
  return #together == 1 and #alone == 0 and not there_is_work(lists)
end

if another_has_the_lock() then return answer(false) end
if when_full then run_when_full() end
lock_keep(owner)
begin_anew(owner)
write_changes()
local room, probed = room_for_mails()
if room <= 0 then return answer(true) end
claim_due(share_of_the_due(room, probed))
claim_entries(room - #claimed)
hand_over(probed)
write_changes()
local lone = is_lone()
if lone then lock_give_back() end
return answer(true, lone)
