-- ARGV: entry, model, attempt. The claimed call leaves now: from here on its place in the window ends with time only.
free(ARGV[1])
local limit = limit_of(ARGV[2])
if limit then redis.call('ZADD', calls(limit), string.format('%.6f', now()), ARGV[3]) end
return 1
