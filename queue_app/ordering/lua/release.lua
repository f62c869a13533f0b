-- ARGV: entries whose claim has ended.
for _, entry in ipairs(ARGV) do
  local org = parts(entry)
  free(entry)
  if redis.call('ZREM', CLAIMS, entry) == 1 then
    if redis.call('HINCRBY', INFLIGHT, org, -1) <= 0 then redis.call('HDEL', INFLIGHT, org) end
    refresh(org)
  end
end
return 1
