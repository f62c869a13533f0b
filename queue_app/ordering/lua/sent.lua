-- ARGV: entry, model, attempt. The claimed call is being sent: its place in the window now ends only with time.
free(ARGV[1])
local limit = limit_of(ARGV[2])
if limit then redis.call('ZADD', calls(limit), string.format('%.6f', now()), ARGV[3]) end
return 1
