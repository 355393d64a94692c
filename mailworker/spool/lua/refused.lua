-- Given: relay, id, said, enough, text, place.

-- A mail that went back so often, and is refused again after others were sent, is meant; the same, where the words are
-- plain.
local SPARED, SPARED_WHERE_PLAIN = 1, 3

run_when_full()
local sent = relay_sent(relay)

-- On the record of a mail that went back: how many mails this relay had taken by then, and how often it went back.
local SPARED_AT, SPARED_TIMES = 'spared:' .. relay, 'spares:' .. relay

-- A relay that never took a mail is not set up yet: its first clear word counts.
local function mails_in_a_row() return sent == '0' and enough <= CERTAIN_REFUSALS and 1 or enough end

-- It went back before, and others were sent since: the words are meant for this mail after all. Or a few of its kind
-- would open the breaker again and again, for all.
local function is_meant()
  local record = redis.call('HMGET', MAIL .. id, SPARED_AT, SPARED_TIMES)
  local spared_after, times = record[1], tonumber(record[2] or 0)
  return spared_after and spared_after ~= sent and times >= (enough > CERTAIN_REFUSALS and SPARED or SPARED_WHERE_PLAIN)
end

-- It is no dead letter any more, and this was no attempt. Returns 1 where it was one.
local function spare(mail)
  local key = MAIL .. mail
  local record = redis.call('HMGET', key, 'state', SPARED_AT, 'tries')
  if record[1] ~= 'failed' then return 0 end
  become(mail, 'failed', 'queued', now)
  count('total:failed', -1)
  if record[2] ~= sent then
    redis.call('HSET', key, SPARED_AT, sent)
    redis.call('HINCRBY', key, SPARED_TIMES, 1)
  end
  if tonumber(record[3] or 0) > 0 then redis.call('HINCRBY', key, 'tries', -1) end
  redis.call('HDEL', key, 'reason', 'detail', 'code', 'ended')
  return 1
end

if not relay_is_open(relay) and is_meant() then return {0, 0, 0, 0} end
local mails, found = relay_run(relay, id, said)
if not found and not relay_wants_the_operator(relay) and #mails < mails_in_a_row() then return {0, 0, 0, 0} end
local back = 0
for _, mail in ipairs(mails) do back = back + spare(mail) end
relay_run_found(relay)
local is_open, wait, opened = relay_down(relay, text, true, 1, place)
write_changes()
return {is_open, wait, opened, back}
