-- ARGV: id. Records a use; pinned entries are not in the eviction order.
if redis.call('EXISTS', P .. 'e:' .. ARGV[1]) == 1 then
  redis.call('HINCRBY', P .. 'e:' .. ARGV[1], 'hits', 1)
  redis.call('ZADD', P .. 'lru', 'XX', tick(), ARGV[1])
end
