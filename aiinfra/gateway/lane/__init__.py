"""The direct lane: calls that a web process makes for waiting clients."""
