"""The settings: one table of names, types, ranges and defaults, and the code that reads them.

Imports nothing from the project or Django, so that every program can read its settings the same way.
"""
