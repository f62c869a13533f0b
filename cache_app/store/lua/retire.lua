-- Cleans up after an organization without entries. Returns 1 if nothing remains.
if redis.call('EXISTS', P .. 'exp') == 1 then return 0 end
redis.call('DEL', STATE, P .. 'log', P .. 'bare')
return 1
