"""Erasing content from every store; each store's own module knows how."""
