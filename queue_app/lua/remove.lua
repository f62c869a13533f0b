-- ARGV: organization, priority, request, score. Takes a request that will not be started out of the index.
local org, priority, request, score = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
redis.call('ZREM', DELAYED, table.concat({org, priority, request, score}, ':'))
if redis.call('ZREM', lane(org, priority), request) == 1 then
  count_depth(org, priority, -1)
  refresh(org)
end
return 1
