-- ARGV: (provider/model, calls a minute) for every limit; "provider/" is the one that its other models share, and 0 says
-- that a model has none. An alias has the name of its model in place of the calls. Whoever waited for a limit is looked at again: it may be another one now, or none.
redis.call('DEL', LIMITS)
if #ARGV > 0 then redis.call('HSET', LIMITS, unpack(ARGV)) end
for _, limit in ipairs(redis.call('SMEMBERS', FULL)) do
  local waiting = redis.call('ZRANGE', blocked(limit), 0, -1)
  redis.call('DEL', blocked(limit))
  redis.call('SREM', FULL, limit)
  for _, org in ipairs(waiting) do refresh(org) end
end
return 1
