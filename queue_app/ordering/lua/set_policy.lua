-- ARGV: organization, weight, limit in flight, limit of waiting requests, then the paused priorities.
local org = ARGV[1]
redis.call('HSET', POLICY, org, table.concat({ARGV[2], ARGV[3], ARGV[4]}, ':'))
for priority in pairs(RANKS) do redis.call('SREM', PAUSED, org .. ':' .. priority) end
for i = 5, #ARGV do redis.call('SADD', PAUSED, org .. ':' .. ARGV[i]) end
refresh(org)
return 1
