-- ARGV: tags. From now on nothing that was written before with one of them is served.
local epoch = tick()
for _, tag in ipairs(ARGV) do redis.call('HSET', STATE, 'epoch:' .. tag, epoch) end
