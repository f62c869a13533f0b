"""Moves the requests of closed months to files; `docs/archive.md` says what stays in the database, and why."""
