-- ARGV: how many at most. Returns how many were removed. Readers know when a vector expires, so nothing is logged.
local ids = redis.call('ZRANGEBYSCORE', P .. 'exp', '-inf', now, 'LIMIT', 0, ARGV[1])
for _, id in ipairs(ids) do forget(id) end
return #ids
