"""What an operator may set: one table of names, kinds, ranges and defaults, and how it is read.

Imports nothing of the project and nothing of Django, so that every program can read its settings the same way.
"""
