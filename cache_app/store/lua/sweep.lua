-- ARGV: tag, how many at most. Removes entries from before the tag's last clearing.
-- Returns how many were still there, and 1 if more may remain.
local tag, most = ARGV[1], tonumber(ARGV[2])
local epoch = redis.call('HGET', STATE, 'epoch:' .. tag)
if not epoch then return {0, 0} end
local ids = redis.call('ZRANGEBYSCORE', P .. 't:' .. tag, '-inf', epoch, 'LIMIT', 0, most)
local removed = forget_and_log(ids)
if redis.call('EXISTS', P .. 't:' .. tag) == 0 then redis.call('HDEL', STATE, 'epoch:' .. tag) end
return {removed, #ids == most and 1 or 0}
