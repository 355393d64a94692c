-- The scripts as they are sent to Redis: see tests/unit/spool/test_script_text.py.
std = {
  globals = {"ARGV", "KEYS"},
  read_globals = {
    "cjson", "ipairs", "math", "pairs", "redis", "string", "table", "tonumber", "tostring", "type", "unpack",
  },
}
max_line_length = false  -- of keys with their prefix; a test looks at the files themselves
