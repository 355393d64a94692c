-- Given: id, payload, wait_ms, chosen, mark, expires, blobs.

local first, name = known(id, chosen, mark)
if first == AGAIN then return {name, waits_to_be_rung_for(name) and 1 or 0, ''} end
if first then return {'', 0, first} end
if blobs ~= '' then
  local missing = missing_blobs(blobs, {})
  if #missing > 0 then return {'', 0, 'missing', unpack(missing)} end
end

local rings = wait_ms == 0 and caller_may_ring()
write_mail(id, name, payload, wait_ms, chosen, mark, expires, blobs, rings)
if not rings and not chosen then redis.call('SET', DAY .. id, mark, 'EX', OTHER_KNOWN) end
write_changes()
return {name, rings and 1 or 0, ''}
