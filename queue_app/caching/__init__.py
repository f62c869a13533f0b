"""What the queue does for the cache: coalescing, storing answers, warming and re-checks."""
