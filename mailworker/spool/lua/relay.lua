-- ARGV: 'up', or 'down', text, '1' if only the operator can mend it, failures that open, first and longest
-- interval in ms, the relay's host and port, '1' if it only wants us slower.
-- Returns {1 if the breaker is open, ms until the next probe, 1 if this call opened or closed it, or was its probe}.
run_when_full()
if ARGV[1] == 'up' then
  local was = redis.call('HGET', RELAY, 'slower') == '1' and 0 or redis.call('HEXISTS', RELAY, 'open_until')
  if redis.call('EXISTS', RELAY) == 1 then redis.call('DEL', RELAY, PROBE) end
  return {0, 0, was}
end
return relay_down(ARGV[2], ARGV[3] == '1', tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7] or '',
  ARGV[8] == '1')
