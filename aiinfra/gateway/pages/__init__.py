"""Gateway pages: model aliases, batches, the first call, and the playground."""
