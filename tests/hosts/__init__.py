"""Several hosts and their servers."""
