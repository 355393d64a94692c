-- What is known of a relay, by its name: the one gate that mail passes. Its breaker, its probe, the run of mails that
-- it refused; its places are in places.lua. No script reads or writes a relay's keys but by these functions.

-- The breaker. It opens after so many failures in a row; then the relay is probed after the first interval, and each
-- one is twice as long as the last, up to the longest. In ms; the shorter ones are for a relay that takes so much in
-- a time and no more.
local FAILURES_OPEN = 3

local FIRST_PROBE = 15000

local LONGEST_PROBE = 300000

local FIRST_PAUSE = 1000

local LONGEST_PAUSE = 60000

-- A probe that is not answered in so many ms gives its turn to another.
local PROBE_MS = 30000

local function relay_is_open(relay) return redis.call('HEXISTS', RELAY .. relay, 'open_until') == 1 end

local function relay_is_probed(relay) return redis.call('EXISTS', PROBE .. relay) == 1 end

local function relay_failed_of_late(relay) return redis.call('EXISTS', RELAY .. relay) == 1 end

-- Of a relay whose breaker is open: ms until its probe is due, 0 where it is.
local function relay_closed_for(relay)
  if relay_is_probed(relay) then return math.max(redis.call('PTTL', PROBE .. relay), 1) end
  local breaker = redis.call('HMGET', RELAY .. relay, 'open_until', 'interval')
  -- A clock that was set back must not keep the breaker open for hours.
  return math.max(0, math.min(tonumber(breaker[1]) - now, tonumber(breaker[2] or 0)))
end

-- Of all relays one that takes mail, else one whose probe is due; nil where there is neither.
local function relay_to_try()
  local half_open
  for _, relay in ipairs(RELAYS) do
    if not relay_is_open(relay) then return relay end
    if not half_open and relay_closed_for(relay) == 0 then half_open = relay end
  end
  return half_open
end

-- The relay for so many mails, which are taken together: one that takes mail, else the one that a lone mail was sent to
-- probe; nil where there is neither, and they wait. And whether they are its probe.
local function relay_for(mails)
  for _, relay in ipairs(RELAYS) do
    if not relay_is_open(relay) then return relay, false end
  end
  if mails > 1 then return nil, false end
  for _, relay in ipairs(RELAYS) do
    if relay_is_probed(relay) then return relay, true end
  end
  return nil, false
end

-- Where the breakers of all are open: ms until the first probe is due.
local function relays_closed_for()
  local wait = math.huge
  for _, relay in ipairs(RELAYS) do wait = math.min(wait, relay_closed_for(relay)) end
  return wait
end

-- The mail that is in this owner's hand finds out.
local function relay_probe(relay, owner) redis.call('SET', PROBE .. relay, owner, 'PX', PROBE_MS) end

-- Was the last probe what is `due`? Then the next one is from the lists: mails that are refused each for itself must
-- not be the only ones to be tried.
local function relay_probes_the_lists(relay) return redis.call('HINCRBY', RELAY .. relay, 'probes', 1) % 2 == 0 end

local function relay_probe_is_over(relay) redis.call('DEL', PROBE .. relay) end

-- The same, where the probe is in this owner's hand.
local function relay_probe_of(relay, owner)
  if redis.call('GET', PROBE .. relay) == owner then relay_probe_is_over(relay) end
end

-- Whoever mended something does not wait for the breaker: the next mail is the probe, and the intervals begin anew.
-- Returns 1 where it was open.
local function relay_probe_now(relay)
  if not relay_is_open(relay) then return 0 end
  redis.call('HSET', RELAY .. relay, 'open_until', now, 'interval', 0)
  relay_probe_is_over(relay)
  return 1
end

-- It took so many mails more.
local function relay_took(relay, mails) count('sent:' .. relay, mails) end

-- How many it took since ever, as a text: 'a mail went through since' is told by that.
local function relay_sent(relay) return redis.call('HGET', COUNTS, 'sent:' .. relay) or '0' end

-- It failed. `enough` failures in a row open the breaker; one does where only the operator can mend it
-- (`configuration`), or where it wants us slower. Returns 1 if the breaker is open, ms until the next probe, 1 if this
-- call opened it or was its probe.
local function relay_down(relay, text, configuration, enough, place, slower)
  local key = RELAY .. relay
  local first, longest = FIRST_PROBE, LONGEST_PROBE
  if slower then first, longest = FIRST_PAUSE, LONGEST_PAUSE end
  -- A mail that it took since the last failure shows that the relay works: failures count in a row.
  local sent = relay_sent(relay)
  local was_open = relay_is_open(relay)
  if not was_open and redis.call('HGET', key, 'sent') ~= sent then
    redis.call('HSET', key, 'failures', 0, 'since', now)
  end
  local failures = redis.call('HINCRBY', key, 'failures', 1)
  redis.call('HSET', key, 'text', text, 'configuration', configuration and 1 or 0, 'failed_at', now, 'place', place,
    'sent', sent, 'slower', slower and 1 or 0)
  if redis.call('HEXISTS', key, 'since') == 0 then redis.call('HSET', key, 'since', now) end
  if not was_open and not configuration and not slower and failures < enough then return 0, 0, 0 end
  -- Of several children that fail together only the first one widens the interval.
  local till = tonumber(redis.call('HGET', key, 'open_until') or 0)
  if was_open and till > now then return 1, till - now, 0 end
  local interval = tonumber(redis.call('HGET', key, 'interval') or 0)
  interval = interval == 0 and first or math.min(interval * 2, longest)
  redis.call('HSET', key, 'interval', interval, 'open_until', now + interval)
  relay_probe_is_over(relay)
  -- How many connections it bears is found out anew when it works again. Who is connected still is: a warm connection
  -- outlives what opened the breaker, and whoever is refused beside it meets a limit and no outage.
  if not slower then relay_forget_limit(relay) end
  return 1, interval, 1
end

-- It works. Returns 1 where that closed its breaker.
local function relay_up(relay)
  local key = RELAY .. relay
  local was_open = redis.call('HGET', key, 'slower') ~= '1' and relay_is_open(relay)
  if relay_failed_of_late(relay) then
    redis.call('DEL', key)
    relay_probe_is_over(relay)
  end
  return was_open and 1 or 0
end

-- The run of mails that it refused in the same words is kept so long, in seconds: one of long ago says nothing of now.
local REFUSALS_KEPT = 604800

-- The ids of the run that this mail goes on, and whether the words were found to be the configuration. A mail that the
-- relay took in between ends a run.
local function relay_run(relay, id, said)
  local key, ids, sent = REFUSED .. relay, REFUSED_IDS .. relay, relay_sent(relay)
  local run = redis.call('HMGET', key, 'said', 'sent', 'found')
  if run[1] ~= said or run[2] ~= sent then
    redis.call('DEL', key, ids)
    redis.call('HSET', key, 'said', said, 'sent', sent)
    run[3] = false
  end
  redis.call('SADD', ids, id)
  redis.call('EXPIRE', key, REFUSALS_KEPT)
  redis.call('EXPIRE', ids, REFUSALS_KEPT)
  return redis.call('SMEMBERS', ids), run[3]
end

local function relay_run_found(relay)
  redis.call('HSET', REFUSED .. relay, 'found', 1)
  redis.call('DEL', REFUSED_IDS .. relay)
end

local function relay_wants_the_operator(relay)
  return relay_is_open(relay) and redis.call('HGET', RELAY .. relay, 'configuration') == '1'
end
