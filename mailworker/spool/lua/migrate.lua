-- Given: nothing.

-- From format 1, which had no key FORMAT: one relay without a name, the lock under the name `ring`, a mail's list in
-- the field `queue`. What programs of that version still put in goes on as it is: their mail was in no list. The calls
-- that they called off stay where their late copies look, under `late`, for as long as such a number is kept.
-- From format 2: the number alone. What is in it is what a mail of text is in this one.

-- A worker that was not heard of for so many ms is not at work.
local SILENT = 10000

-- In seconds.
local CALLED_OFF_KEPT = 86400

local RENAMED = {relay = RELAY, probe = PROBE, limit = LIMIT, places = PLACES, refused = REFUSED,
  ['refused:ids'] = REFUSED_IDS}

-- Nil for a user of Redis who may not look, as a program that sends: he migrates nothing.
local function workers_at_work()
  local heard, workers = redis.pcall('HGETALL', HEARD), 0
  if heard.err then return nil end
  for i = 1, #heard, 2 do
    local is_worker = heard[i]:sub(1, 1) ~= ' '
    if is_worker and math.abs(now - tonumber(heard[i + 1])) <= SILENT then workers = workers + 1 end
  end
  return workers
end

local function rename_keys()
  for old, new in pairs(RENAMED) do
    if redis.call('EXISTS', PREFIX .. old) == 1 then redis.call('RENAME', PREFIX .. old, new .. RELAYS[1]) end
  end
  redis.call('DEL', PREFIX .. 'ring')
  redis.call('HSET', COUNTS, 'sent:' .. RELAYS[1], redis.call('HGET', COUNTS, 'total:sent') or 0)
  redis.call('EXPIRE', PREFIX .. 'late', CALLED_OFF_KEPT)
end

local function rename_field(key, old, new)
  local value = redis.call('HGET', key, old)
  if not value then return end
  redis.call('HSET', key, new, value)
  redis.call('HDEL', key, old)
end

local function move_mails(ids)
  for _, id in ipairs(ids) do
    rename_field(MAIL .. id, 'queue', 'source')
    rename_field(MAIL .. id, 'revived', 'retried')
    rename_field(MAIL .. id, 'spared', 'spared:' .. RELAYS[1])
    rename_field(MAIL .. id, 'spares', 'spares:' .. RELAYS[1])
  end
  return #ids
end

local found = tonumber(redis.call('GET', FORMAT) or 1)
if found >= tonumber(SPOOL_FORMAT) then return {found, 0, 0} end
-- Nobody was here before. Programs that send see no more than this.
if redis.call('EXISTS', COUNTS, POOLS) == 0 then
  run_when_full()
  redis.call('SET', FORMAT, SPOOL_FORMAT)
  return {tonumber(SPOOL_FORMAT), 0, 0}
end
local at_work = workers_at_work()
if at_work ~= 0 then return {found, at_work or 0, 0} end
run_when_full()
if found == 2 then
  redis.call('SET', FORMAT, SPOOL_FORMAT)
  return {tonumber(SPOOL_FORMAT), 0, 0}
end
rename_keys()
local dead = redis.call('ZRANGE', DEAD, 0, -1)
local mails = move_mails(redis.call('ZRANGE', DUE, 0, -1)) + move_mails(dead)
for _, id in ipairs(dead) do redis.call('HDEL', MAIL .. id, 'alone') end
redis.call('SET', FORMAT, SPOOL_FORMAT)
return {tonumber(SPOOL_FORMAT), 0, mails}
