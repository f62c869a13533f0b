-- Take an attempt that succeeded out of the counters. KEYS: counters, of which the first is emptied.
redis.call('DEL', KEYS[1])
for i = 2, #KEYS do
  if tonumber(redis.call('GET', KEYS[i]) or 0) > 0 then
    redis.call('DECR', KEYS[i])
  end
end
