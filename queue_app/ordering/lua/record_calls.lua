-- ARGV: (model, attempt, time) of calls sent within the window, according to the rows.
for i = 1, #ARGV, 3 do
  local limit = limit_of(ARGV[i])
  if limit then redis.call('ZADD', calls(limit), 'NX', ARGV[i + 2], ARGV[i + 1]) end
end
return 1
