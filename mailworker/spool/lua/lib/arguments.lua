-- So many of these arguments. Lua's stack bears 8,000 at once.
local function list_of(first, size)
  if size < 1000 then return {unpack(ARGV, first, first + size - 1)} end
  local items = {}
  for i = 1, size do items[i] = ARGV[first + i - 1] end
  return items
end
