"""Erases content from every store; each store's own module implements it."""
