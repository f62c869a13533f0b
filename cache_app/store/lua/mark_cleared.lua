-- ARGV: tags. Entries written before this call with any of them are never served again.
local epoch = tick()
for _, tag in ipairs(ARGV) do redis.call('HSET', STATE, 'epoch:' .. tag, epoch) end
