-- ARGV: id, id of the question text that it must not answer, new minimum similarity. Returns 1 if the entry exists.
local key = P .. 'e:' .. ARGV[1]
if not is_live(ARGV[1], '') then return 0 end
local blocked = redis.call('HGET', key, 'blocked') or ''
if not string.find(blocked, ARGV[2], 1, true) then blocked = blocked .. (blocked == '' and '' or ' ') .. ARGV[2] end
local bar = redis.call('HGET', key, 'bar')
if (tonumber(bar) or 0) < tonumber(ARGV[3]) then bar = ARGV[3] end
redis.call('HSET', key, 'blocked', blocked, 'bar', bar, 'stamp', tick())
return 1
