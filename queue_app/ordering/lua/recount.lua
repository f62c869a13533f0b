-- Recomputes the requests in flight from the claims, in case a count has drifted, and returns places reserved for
-- claims that have ended.
local counts = {}
for _, entry in ipairs(redis.call('ZRANGE', CLAIMS, 0, -1)) do
  local org = parts(entry)
  counts[org] = (counts[org] or 0) + 1
end
for _, entry in ipairs(redis.call('HKEYS', UNSENT)) do
  if not redis.call('ZSCORE', CLAIMS, entry) then free(entry) end
end
local touched = redis.call('HKEYS', INFLIGHT)
redis.call('DEL', INFLIGHT)
for org, count in pairs(counts) do
  redis.call('HSET', INFLIGHT, org, count)
  touched[#touched + 1] = org
end
for _, org in ipairs(touched) do refresh(org) end
return 1
