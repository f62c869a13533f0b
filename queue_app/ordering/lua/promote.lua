-- Moves what is due into the lanes, and looks again at who waited for a limit that has room. Returns how many
-- organizations have something to start.
promote(now())
unblock()
return redis.call('ZCARD', HEADS)
