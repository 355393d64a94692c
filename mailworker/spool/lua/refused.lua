-- A mail was refused in words that speak of the site and not of the mail: it is a dead letter by now. ARGV: id, what was
-- said (the same words, the same step), how many such in a row open the breaker, text, place, first and longest interval
-- in ms. Returns {1 if it is the configuration, ms until the next probe, 1 if this call opened the breaker, mails that
-- went back}.
run_when_full()
local CERTAIN = 3  -- as in refusals.py: where more in a row are wanted, the words may be meant for the mail
local id, said, enough = ARGV[1], ARGV[2], tonumber(ARGV[3])
local ids = REFUSED .. ':ids'
local sent = redis.call('HGET', COUNTS, 'total:sent') or '0'
local open = redis.call('HEXISTS', RELAY, 'open_until') == 1
-- A relay that never took a mail is not set up yet: its first clear word counts.
if sent == '0' and enough <= CERTAIN then enough = 1 end
local run = redis.call('HMGET', REFUSED, 'said', 'sent', 'found')
-- It went back before, and others were sent since: the words are meant for this mail after all. Or a few of its kind
-- would open the breaker again and again, for all.
local spared = redis.call('HMGET', mail_key(id), 'spared', 'spares')
if not open and spared[1] and spared[1] ~= sent and tonumber(spared[2]) >= (enough > CERTAIN and 1 or 3) then
  return {0, 0, 0, 0}
end
-- A mail that the relay took in between ends the run.
if run[1] ~= said or run[2] ~= sent then
  redis.call('DEL', REFUSED, ids)
  redis.call('HSET', REFUSED, 'said', said, 'sent', sent)
  run[3] = false
end
redis.call('SADD', ids, id)
-- A run of long ago says nothing of now.
redis.call('EXPIRE', REFUSED, 604800)
redis.call('EXPIRE', ids, 604800)
local members = redis.call('SMEMBERS', ids)
local known = run[3] or (open and redis.call('HGET', RELAY, 'configuration') == '1')
if not known and #members < enough then return {0, 0, 0, 0} end
redis.call('HSET', REFUSED, 'found', 1)
local back = 0
for _, refused in ipairs(members) do
  local key = mail_key(refused)
  local record = redis.call('HMGET', key, 'state', 'spared', 'tries')
  if record[1] == 'failed' then
    move('failed', 'queued')
    count('total:failed', -1)
    redis.call('HSET', key, 'state', 'queued')
    if record[2] ~= sent then
      redis.call('HSET', key, 'spared', sent)
      redis.call('HINCRBY', key, 'spares', 1)
    end
    if tonumber(record[3] or 0) > 0 then redis.call('HINCRBY', key, 'tries', -1) end
    redis.call('HDEL', key, 'reason', 'detail', 'code', 'ended', 'owner', 'alone')
    redis.call('ZREM', DEAD, refused)
    redis.call('ZADD', DUE, now, refused)
    back = back + 1
  end
end
redis.call('DEL', ids)
local down = relay_down(ARGV[4], true, 1, tonumber(ARGV[6]), tonumber(ARGV[7]), ARGV[5])
write_counts()
return {1, down[2], down[3], back}
