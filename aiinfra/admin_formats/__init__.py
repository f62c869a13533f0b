"""Formats for Django admin, by language: Django imports `<language>/formats.py`."""
