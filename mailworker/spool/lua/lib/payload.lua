-- A payload of more octets lies in a list of its own, and its record has `size` in place of `payload`: no script ever
-- sees it, which would copy it eight times. The child reads it when its turn comes.
local LARGE = 8192

-- Stores it. Returns the field of the record, and its value.
local function store(id, payload)
  if #payload <= LARGE then return 'payload', payload end
  redis.call('RPUSH', PAYLOAD .. id, payload)
  return 'size', #payload
end
