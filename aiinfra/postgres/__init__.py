"""Django's backend for PostgreSQL, as `aiinfra.postgres.base` changes it."""
