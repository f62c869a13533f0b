"""Comparing providers' usage files with the ledger."""
