"""Raw records of the money for staff. What has a page where its rules hold cannot be changed here."""

from cost_app.admin import advice, budgets, finance, ledger, prices, rules

__all__ = ["advice", "budgets", "finance", "ledger", "prices", "rules"]
