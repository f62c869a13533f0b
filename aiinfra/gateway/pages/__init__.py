"""Pages of the front door: model aliases, batches, the first call, and the playground."""
