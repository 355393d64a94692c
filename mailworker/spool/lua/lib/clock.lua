-- Redis's own time, in milliseconds: the only clock of the spool.
local seconds_and_micros = redis.call('TIME')
local now = seconds_and_micros[1] * 1000 + math.floor(seconds_and_micros[2] / 1000)
