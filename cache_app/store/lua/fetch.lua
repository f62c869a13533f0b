-- ARGV: partition ('' for any), then ids, each with the stamp that the caller knows ('' for none).
-- Returns for each: nothing if it may not be served, 1 if the caller's copy is unchanged, else its fields.
local found = {}
for i = 2, #ARGV, 2 do
  local id, known = ARGV[i], ARGV[i + 1]
  if not is_live(id, ARGV[1]) then
    found[#found + 1] = false
  elseif redis.call('HGET', P .. 'e:' .. id, 'stamp') == known then
    found[#found + 1] = 1
  else
    found[#found + 1] = redis.call('HGETALL', P .. 'e:' .. id)
  end
end
return found
