-- ARGV: organizations. Returns (provider/model, ready requests that wait for its limit) for each of their lanes.
local found = {}
for _, org in ipairs(ARGV) do
  for _, name in ipairs(redis.call('ZRANGE', lanes(org), 0, -1)) do
    local model = string.sub(name, 3)
    local limit = limit_of(model)
    if limit and room(limit) <= 0 then
      found[#found + 1] = model
      found[#found + 1] = redis.call('ZCARD', lane(org, name))
    end
  end
end
return found
