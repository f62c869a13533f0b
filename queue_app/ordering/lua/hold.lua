-- ARGV: (entry, model) of requests that are processing according to the rows: claims that an emptied Redis lost.
local at = string.format('%.6f', now())
for i = 1, #ARGV, 2 do
  local entry, limit = ARGV[i], limit_of(ARGV[i + 1])
  if redis.call('ZADD', CLAIMS, 'NX', at, entry) == 1 then
    local org = parts(entry)
    redis.call('HINCRBY', INFLIGHT, org, 1)
    if limit then reserve(limit, entry) end
    refresh(org)
  end
end
return 1
