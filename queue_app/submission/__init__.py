"""Accept a request: checks, cache lookup, the database row and its first attempt."""
