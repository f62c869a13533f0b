"""Recovering from lost workers and a lost Redis, and deleting what retention no longer covers."""
