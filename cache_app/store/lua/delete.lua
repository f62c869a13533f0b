-- ARGV: id. Returns 1 if it existed.
return forget_and_log({ARGV[1]})
