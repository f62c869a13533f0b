-- ARGV: 'ready' to wake a thread only if a request could start.
-- Wakes a thread that stands by, the last one first: the tickets of the others can end. Returns whether there was one.
if ARGV[1] == 'ready' and redis.call('EXISTS', HEADS) == 0 then return 0 end
local name = redis.call('LPOP', P .. 'standby')
if not name then return 0 end
redis.call('RPUSH', P .. 'woken:' .. name, 1)
redis.call('EXPIRE', P .. 'woken:' .. name, 5)
return 1
