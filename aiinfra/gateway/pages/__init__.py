"""Pages of the front door: model aliases."""
