-- ARGV: id. Returns 1 if it was there.
return forget_and_log({ARGV[1]})
