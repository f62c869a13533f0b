-- ARGV: entries that the rows say are being processed; claims that an emptied Redis forgot.
local at = string.format('%.6f', now())
for _, entry in ipairs(ARGV) do
  if redis.call('ZADD', CLAIMS, 'NX', at, entry) == 1 then
    local org = parts(entry)
    redis.call('HINCRBY', INFLIGHT, org, 1)
    refresh(org)
  end
end
return 1
