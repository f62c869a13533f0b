"""Files that clients upload, and batches of calls that are made from them: their rows, retention, and erasure."""
