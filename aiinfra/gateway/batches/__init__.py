"""Batches: calls from a file that run at low priority, through the doors of `/v1`."""
