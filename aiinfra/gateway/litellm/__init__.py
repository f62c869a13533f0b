"""Imports the setup of a LiteLLM proxy: its models, fallbacks, keys, teams, and budgets."""
