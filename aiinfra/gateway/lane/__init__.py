"""The direct lane: calls that a web process makes for clients that wait on its connections."""
