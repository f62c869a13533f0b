-- ARGV: id, 1 to pin and 0 to unpin. Returns 1 if it exists.
local id, pinned = ARGV[1], ARGV[2]
if not is_live(id, '') then return 0 end
local stamp = tick()
redis.call('HSET', P .. 'e:' .. id, 'pinned', pinned, 'stamp', stamp)
if pinned == '1' then redis.call('ZREM', P .. 'lru', id) else redis.call('ZADD', P .. 'lru', stamp, id) end
return 1
