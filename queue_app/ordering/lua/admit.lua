-- ARGV: (organization, priority, request, score, seconds until it may start, model) for each request. Adding one twice
-- changes nothing, even if it was claimed in between: index repair's list of rows is older than the claims.
local at = now()
for i = 1, #ARGV, 6 do
  local org, priority, request, score, delay, model = unpack(ARGV, i, i + 5)
  local entry = table.concat({org, priority, request}, ':')
  local is_claimed = redis.call('ZSCORE', CLAIMS, entry)
  if not is_claimed and tonumber(delay) > 0 then
    if redis.call('ZADD', DELAYED, string.format('%.6f', at + delay), table.concat({entry, score, model}, ':')) == 1 then count_held(org, 1) end
  elseif not is_claimed then
    make_ready(org, priority, request, score, model)
    refresh(org)
  end
end
return #ARGV / 6
