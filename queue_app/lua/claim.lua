-- ARGV: penalty in seconds for each request in flight, and the age beyond which organizations count as equally old.
-- Takes the best request now; returns its entry or nil. Of equals, whoever was served longest ago goes first.
-- Looks at the 64 organizations with the best heads: the penalty reorders among them.
local penalty, horizon = tonumber(ARGV[1]), tonumber(ARGV[2])
local at = now()
promote(at)
local heads = redis.call('ZRANGE', HEADS, 0, 63, 'WITHSCORES')
local chosen, chosen_key, chosen_served
for i = 1, #heads, 2 do
  local org = heads[i]
  local weight = policy(org)
  local score = math.max(tonumber(heads[i + 1]), at - horizon)
  local key = score + penalty * tonumber(redis.call('HGET', INFLIGHT, org) or '0') / weight
  local served = tonumber(redis.call('HGET', SERVED, org) or '0')
  if not chosen or key < chosen_key or (key == chosen_key and served < chosen_served) then
    chosen, chosen_key, chosen_served = org, key, served
  end
end
if not chosen then return nil end
local _, priority = head(chosen)
if not priority then
  refresh(chosen)
  return nil
end
local request = redis.call('ZPOPMIN', lane(chosen, priority))[1]
local entry = table.concat({chosen, priority, request}, ':')
count_depth(chosen, priority, -1)
redis.call('HSET', SERVED, chosen, string.format('%.6f', at))
if redis.call('ZADD', CLAIMS, string.format('%.6f', at), entry) == 1 then redis.call('HINCRBY', INFLIGHT, chosen, 1) end
refresh(chosen)
return entry
