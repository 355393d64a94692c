-- Given: id, payload, wait_ms, chosen, token, digest, expires, blobs.

local function refuse(why) return {'', 0, why, {}} end

local first = known(id, chosen, token)
if first == AGAIN then
  local name = name_given(id, token)
  return {name, waits_to_be_rung_for(name) and 1 or 0, '', {}}
end
if first then return refuse(is_another(id, digest) and 'another' or first) end
local missing = blobs ~= '' and missing_blobs(blobs, {}) or {}
if #missing > 0 then return {'', 0, 'missing', missing} end

local rings = wait_ms == 0 and caller_may_ring()
local name = free_name(id, token)
if chosen then keep_id(id, token, digest) end
write_mail(name, payload, wait_ms, rings, chosen, redis.call('INCR', SEQUENCE), digest, expires, blobs)
if not rings and not chosen then redis.call('SET', DAY .. id, token, 'EX', OTHER_KNOWN) end
count('total:accepted', 1)
write_changes()
return {name, rings and 1 or 0, '', {}}
