"""Generates demo history and traffic, marked as demo."""
