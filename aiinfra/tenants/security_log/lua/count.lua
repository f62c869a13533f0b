-- Counts one repetition of an event in the current minute and returns how often it has happened in it: 1 the first time,
-- -1 once the minute has too many different events, which are then counted together.
-- KEYS[1]: a prefix. ARGV: the event as JSON, the request ID, the most different events, the name of all others, and the
-- bucket: a flood in one bucket leaves the others room.
local now = redis.call('TIME')
local minute = ARGV[5] .. ':' .. math.floor(tonumber(now[1]) / 60)
local counts, firsts = KEYS[1] .. ':' .. minute, KEYS[1] .. ':first:' .. minute
local field, result = ARGV[1], 0
if redis.call('HEXISTS', counts, field) == 0 and redis.call('HLEN', counts) >= tonumber(ARGV[3]) then
  field, result = ARGV[4], -1
end
local count = redis.call('HINCRBY', counts, field, 1)
if count == 1 then
  redis.call('HSET', firsts, field, ARGV[2])
  redis.call('EXPIRE', counts, 86400)
  redis.call('EXPIRE', firsts, 86400)
  redis.call('SADD', KEYS[1] .. ':minutes', minute)
end
if result == -1 then
  return -1
end
return count
