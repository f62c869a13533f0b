"""Recover from lost workers and a lost Redis, and delete what is past its retention."""
