-- Moves what is due into the lanes; returns how many organizations have something to start.
promote(now())
return redis.call('ZCARD', HEADS)
