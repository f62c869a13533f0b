-- ARGV: id. Notes a use; a pinned entry has no place in the order of eviction.
if redis.call('EXISTS', P .. 'e:' .. ARGV[1]) == 1 then
  redis.call('HINCRBY', P .. 'e:' .. ARGV[1], 'hits', 1)
  redis.call('ZADD', P .. 'lru', 'XX', tick(), ARGV[1])
end
