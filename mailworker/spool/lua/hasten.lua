-- ARGV: how many to leave out, most to look at, '1' to have the relay probed now; or '', '', the same, ids…
-- What waits for its next attempt is due now; what a caller asked to wait for its time only where it is named.
-- Returns {how many, how many were looked at and left, 1 if the breaker was open and is probed}.
run_when_full()
local probed = ARGV[3] == '1' and probe_now() or 0
local named = #ARGV > 3
local ids = named and {unpack(ARGV, 4)} or
  redis.call('ZRANGEBYSCORE', DUE, '(' .. now, '+inf', 'LIMIT', ARGV[1], ARGV[2])
local hastened, left = 0, 0
for _, id in ipairs(ids) do
  local record = redis.call('HMGET', mail_key(id), 'state', 'reason')
  if record[1] == 'deferred' and (named or record[2] == 'deferred') then
    redis.call('ZADD', DUE, now, id)
    hastened = hastened + 1
  else
    left = left + 1
  end
end
return {hastened, left, probed}
