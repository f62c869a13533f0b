-- ARGV: (organization, priority, request, score, not before) for each request. Doing it twice changes nothing, also
-- when the request was claimed in between: the reconciler's list of rows is older than the claims.
local at = now()
for i = 1, #ARGV, 5 do
  local org, priority, request, score, due = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4]
  local entry = table.concat({org, priority, request}, ':')
  local is_claimed = redis.call('ZSCORE', CLAIMS, entry)
  if not is_claimed and tonumber(due) > at then
    redis.call('ZADD', DELAYED, due, entry .. ':' .. score)
  elseif not is_claimed then
    make_ready(org, priority, request, score)
    refresh(org)
  end
end
return #ARGV / 5
