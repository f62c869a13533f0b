"""Accepting a request: checks, cache look-up, the database row and its first attempt."""
