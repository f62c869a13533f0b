"""Batches on the queue."""
