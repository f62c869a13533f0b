"""Raw records of the money for staff. What has a page where its rules hold cannot be changed here."""

from cost_app.admin import budgets, finance, ledger, prices, recommendations, rules

__all__ = ["budgets", "finance", "ledger", "prices", "recommendations", "rules"]
