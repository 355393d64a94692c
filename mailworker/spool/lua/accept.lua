-- Given: id, payload, wait_ms, chosen, mark, expires, blobs.

local first, name, waits = known(id, chosen, mark)
-- The answer to this very call was lost, and perhaps its doorbell was not rung.
if first == AGAIN then return {name, waits and 1 or 0, ''} end
if first then return {'', 0, first} end
if blobs ~= '' then
  local missing = missing_blobs(blobs, {})
  if #missing > 0 then return {'', 0, 'missing', unpack(missing)} end
end

-- A doorbell each for a flood would only fill the broker: then the bridge rings for many at once.
local rings = wait_ms == 0 and rung() < children() * BATCH
write_mail(id, name, payload, wait_ms, chosen, mark, expires, blobs, rings)
if not rings and not chosen then redis.call('SET', DAY .. id, mark, 'EX', OTHER_KNOWN) end
write_changes()
return {name, rings and 1 or 0, ''}
