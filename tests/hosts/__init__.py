"""Several hosts and their servers. `make test-hosts` runs these tests, `make test` does not."""
