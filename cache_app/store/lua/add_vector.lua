-- ARGV: id, vector, full vector. Returns 1 if an entry was waiting for it.
local id = ARGV[1]
if redis.call('SISMEMBER', P .. 'bare', id) == 0 or not is_live(id, '') then return 0 end
add_vector(id, place_of(id), ARGV[2], ARGV[3], redis.call('HGET', P .. 'e:' .. id, 'expires_ms'))
return 1
