-- Count an attempt with every key unless one of them has reached its maximum.
-- KEYS: counters. ARGV: the window in ms, then the maximum of each counter.
-- Returns 0, or the milliseconds until the attempts are over that reached the maximum.
local wait = 0
for i, key in ipairs(KEYS) do
  if tonumber(redis.call('GET', key) or 0) >= tonumber(ARGV[i + 1]) then
    wait = math.max(wait, redis.call('PTTL', key), 1)
  end
end
if wait == 0 then
  for _, key in ipairs(KEYS) do
    if redis.call('INCR', key) == 1 then
      redis.call('PEXPIRE', key, ARGV[1])
    end
  end
end
return wait
