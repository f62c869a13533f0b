-- ARGV: organization, priority, request, score, model. Removes a request that will not be started.
local org, priority, request, score, model = unpack(ARGV)
local entry = table.concat({org, priority, request}, ':')
if redis.call('ZREM', DELAYED, table.concat({entry, score, model}, ':')) == 1 then count_held(org, -1) end
local name = redis.call('HGET', LANE_OF, entry)
if name and take_out(org, priority, request, name) then refresh(org) end
return 1
