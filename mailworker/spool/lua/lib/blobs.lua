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

-- One record more needs them. Not for the first write of a script: a full Redis must refuse before it.
local function hold_blobs(blobs)
  for digest in blobs:gmatch('%S+') do
    redis.call('HINCRBY', BLOBS, digest, 1)
    redis.call('PERSIST', BLOB .. digest)
  end
end

-- One record less needs them: what is needed by none is gone. Not for the first write of a script either.
local function free_blobs(blobs)
  for digest in blobs:gmatch('%S+') do
    if redis.call('HINCRBY', BLOBS, digest, -1) <= 0 then
      redis.call('HDEL', BLOBS, digest)
      redis.call('UNLINK', BLOB .. digest)
    end
  end
end
