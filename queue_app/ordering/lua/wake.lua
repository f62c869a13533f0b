-- Wakes a thread that stands by, the last one first: the tickets of the others can end. Returns whether there was one.
local name = redis.call('LPOP', P .. 'standby')
if not name then return 0 end
redis.call('RPUSH', P .. 'woken:' .. name, 1)
redis.call('EXPIRE', P .. 'woken:' .. name, 5)
return 1
