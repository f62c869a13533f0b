"""Pages of the front door: playground, first call, model aliases, API reference."""
