-- Given: token, ids, payloads, waits_ms, chosen, digests, expires, blobs.

-- All of them or none: whatever can be wrong is found before the first write, and a full Redis refuses that one.

-- What became of this very step, where its answer was lost: a mark for each mail. In DAY, under the step's token.
local STEP = DAY .. token
local KNOWN, NEW, BESIDE = '0', '1', '2'

local is_new, digest_of, missing, looked_at = {}, {}, {}, {}

local function answer(names, ring) return {'', names, ring} end

-- Is this id known, and another mail's? It may stand twice in one step, too.
local function look_at(id, is_chosen, digest)
  local before = digest_of[id]
  if before then return true, before ~= '' and digest ~= '' and before ~= digest end
  digest_of[id] = digest
  if not known(id, is_chosen, token) then return false, false end
  return true, is_another(id, digest)
end

-- Returns the number of a mail whose id is another mail's.
local function look_through()
  for number, id in ipairs(ids) do
    local first, another = look_at(id, chosen[number] == '1', digests[number])
    if another then return number end
    is_new[number] = not first
    if not first and blobs[number] ~= '' then
      for _, digest in ipairs(missing_blobs(blobs[number], looked_at)) do missing[#missing + 1] = digest end
    end
  end
end

local function names_of(marks)
  local names, ring = {}, 0
  for number, id in ipairs(ids) do
    local mark = marks:sub(number, number)
    names[number] = mark == KNOWN and '' or mark == NEW and id or name_beside(id, token)
    if ring == 0 and mark ~= KNOWN and waits_to_be_rung_for(names[number]) then ring = number end
  end
  return names, ring
end

local function write_one(number, sequence, rings)
  local id, is_chosen = ids[number], chosen[number] == '1'
  local name = free_name(id, token)
  if is_chosen then keep_id(id, token, digests[number]) end
  write_mail(name, payloads[number], tonumber(waits_ms[number]), rings, is_chosen, sequence, digests[number],
    tonumber(expires[number]), blobs[number])
  return name
end

local marks = redis.call('GET', STEP)
if marks then return answer(names_of(marks)) end
local another = look_through()
if another then return {'another', {another}, 0} end
if #missing > 0 then return {'missing', missing, 0} end

-- One doorbell wakes an idle system, and the child that answers it has the bridge rung for the others.
local may_ring, ring, names, made = caller_may_ring(), 0, {}, {}
local sequence = redis.call('INCRBY', SEQUENCE, #ids) - #ids
for number, id in ipairs(ids) do
  names[number], made[number] = '', KNOWN
  if is_new[number] then
    local rings = may_ring and ring == 0 and tonumber(waits_ms[number]) == 0
    if rings then ring = number end
    names[number] = write_one(number, sequence + number, rings)
    made[number] = names[number] == id and NEW or BESIDE
    count('total:accepted', 1)
  end
end
redis.call('SET', STEP, table.concat(made), 'EX', OTHER_KNOWN)
write_changes()
return answer(names, ring)
