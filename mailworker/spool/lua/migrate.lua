run_when_full()
redis.call('SET', FORMAT, SPOOL_FORMAT)
return {tonumber(SPOOL_FORMAT), 0}
