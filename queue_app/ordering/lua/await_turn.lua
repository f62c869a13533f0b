-- ARGV: request, and for how many milliseconds its client waits before it asks again; 0 if it no longer waits.
-- The next claim of the request hands it over to the client's process. Returns that claim, once; '' while there is none.
local turn, kept = turn_of(ARGV[1]), tonumber(ARGV[2])
local claimed = redis.call('GET', turn) or ''
if kept > 0 and claimed == '' then
  redis.call('SET', turn, '', 'PX', kept)
else
  redis.call('DEL', turn)
end
return claimed
