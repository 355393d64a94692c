-- Given: token, lists.

-- In ms: until the next look where a probe is out, since one that turned out to be no mail leaves its turn to the next;
-- where enough doorbells are out, since whoever answers one rings; and where nothing waits at all.
local PROBE_IS_OUT, ENOUGH_IS_OUT, NOTHING_WAITS = 50, 1000, 3600000

-- A bridge is at work.
local AT_WORK = -1

local function no_relay()
  local wait = relays_closed_for()
  for _, relay in ipairs(RELAYS) do
    if relay_is_probed(relay) then wait = math.min(wait, PROBE_IS_OUT) end
  end
  return {0, wait, 0}
end

if not relay_to_try() then return no_relay() end
if there_is_work(lists) then
  run_when_full()
  if lock_take(token) then return {1, 0, 0} end
  return {0, AT_WORK, 0}
end
local first = first_due()
if first and first <= now then return {0, ENOUGH_IS_OUT, 0} end
return {0, first and first - now or NOTHING_WAITS, entries_in(lists) == 0 and 1 or 0}
