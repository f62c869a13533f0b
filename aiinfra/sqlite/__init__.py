"""The database backend for SQLite: Django's, with a fair gate for those who write."""
