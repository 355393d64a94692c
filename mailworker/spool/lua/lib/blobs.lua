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

-- By how many records more, or less, each is needed. Collected, and written at once by `write_changes`.
local needed = {}

local function need_blobs(blobs, by)
  for digest in blobs:gmatch('%S+') do needed[digest] = (needed[digest] or 0) + by end
end

-- What is needed stays, what is needed by none any more is gone. Not for the first write of a script: a full Redis must
-- refuse before it, or not at all.
local function write_needed()
  for digest, by in pairs(needed) do
    if redis.call('HINCRBY', BLOBS, digest, by) <= 0 then
      redis.call('HDEL', BLOBS, digest)
      redis.call('UNLINK', BLOB .. digest)
    elseif by > 0 then
      redis.call('PERSIST', BLOB .. digest)
    end
    needed[digest] = nil
  end
end
