-- Returns (limit, calls per minute, calls that count against it now) of every limit.
local found = {}
for limit, most in pairs(limits()) do
  if type(most) == 'number' and most > 0 then
    for _, each in ipairs({limit, most, most - room(limit)}) do found[#found + 1] = each end
  end
end
return found
