"""Raw cost records for staff. Anything with its own page is read-only here."""

from cost_app.admin import budgets, finance, ledger, prices, recommendations, rules

__all__ = ["budgets", "finance", "ledger", "prices", "recommendations", "rules"]
