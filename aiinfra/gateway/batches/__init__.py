"""Batches: calls from a file that run at low priority through the `/v1` endpoints."""
