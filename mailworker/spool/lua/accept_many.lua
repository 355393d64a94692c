-- Given: token, ids, payloads, waits_ms, chosen, digests, expires, blobs.

-- All of them or none: whatever can be wrong is found before the first write, and a full Redis refuses that one.

-- What became of this very step, where its answer was lost: a sign for each mail. In DAY, under the step's token.
local STEP = DAY .. token
local KNOWN, NEW, BESIDE = '0', '1', '2'

local name_of, digest_of, missing, looked_at = {}, {}, {}, {}

local function answer(names, ring) return {'', names, ring} end

-- Is this id known, and another mail's; else the name under which the mail is to be written. It may stand twice in one
-- step, too.
local function look_at(id, is_chosen, digest)
  local before = digest_of[id]
  if before then return true, before ~= '' and digest ~= '' and before ~= digest end
  digest_of[id] = digest
  local first, name = known(id, is_chosen, token .. digest)
  return first ~= nil, first == 'another', name
end

-- Returns the number of a mail whose id is another mail's.
local function look_through()
  for number, id in ipairs(ids) do
    local is_known, another, name = look_at(id, chosen[number] == '1', digests[number])
    if another then return number end
    name_of[number] = not is_known and name
    if not is_known and blobs[number] ~= '' then
      for _, digest in ipairs(missing_blobs(blobs[number], looked_at)) do missing[#missing + 1] = digest end
    end
  end
end

local function names_by(signs)
  local names, ring = {}, 0
  for number, id in ipairs(ids) do
    local sign = signs:sub(number, number)
    names[number] = sign == KNOWN and '' or sign == NEW and id or name_beside(id, token)
    if ring == 0 and sign ~= KNOWN and redis.call('ZSCORE', RUNG, names[number]) then ring = number end
  end
  return names, ring
end

local signs = redis.call('GET', STEP)
if signs then return answer(names_by(signs)) end
local another = look_through()
if another then return {'another', {another}, 0} end
if #missing > 0 then return {'missing', missing, 0} end

-- One doorbell wakes an idle system, and the child that answers it has the bridge rung for the others.
local may_ring, ring, names, made = rung() < children() * BATCH, 0, {}, {}
local sequence = redis.call('INCRBY', SEQUENCE, #ids) - #ids
for number, id in ipairs(ids) do
  local name, wait_ms = name_of[number], tonumber(waits_ms[number])
  names[number] = name or ''
  made[number] = not name and KNOWN or name == id and NEW or BESIDE
  if name then
    local rings = may_ring and ring == 0 and wait_ms == 0
    if rings then ring = number end
    write_mail(id, name, payloads[number], wait_ms, chosen[number] == '1', token .. digests[number],
      tonumber(expires[number]), blobs[number], rings, sequence + number)
  end
end
redis.call('SET', STEP, table.concat(made), 'EX', OTHER_KNOWN)
write_changes()
return answer(names, ring)
