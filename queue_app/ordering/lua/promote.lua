-- Moves due requests into the lanes, and re-checks organizations that waited for a limit that has room now. Returns how
-- many organizations have work to start.
promote(now())
unblock()
return redis.call('ZCARD', HEADS)
