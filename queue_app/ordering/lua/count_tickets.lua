-- KEYS: the list of RQ's queue. Returns the number of jobs that no worker has taken yet.
return redis.call('LLEN', KEYS[1])
