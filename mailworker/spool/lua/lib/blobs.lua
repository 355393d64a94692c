-- Files that many mails may share. BLOB holds the octets of one, by their digest, and BLOBS how many records need it: a
-- record has their digests in its field `blobs`, with blanks between. No script ever sees the octets. What nobody needs
-- yet expires.

-- Those of them that are not there, each once; `known` are those that were looked at before.
local function missing_blobs(blobs, known)
  local missing = {}
  for digest in blobs:gmatch('%S+') do
    if not known[digest] then
      known[digest] = true
      if redis.call('EXISTS', BLOB .. digest) == 0 then missing[#missing + 1] = digest end
    end
  end
  return missing
end

-- By how many records more, or less, each is needed: see `write_changes`.
local needed = {}

local function need_blobs(blobs, by)
  for digest in blobs:gmatch('%S+') do needed[digest] = (needed[digest] or 0) + by end
end
