"""Rows of the ledger, and the organization that they belong to."""

from tests.cost_app.ledger.booking import book
from tests.cost_app.ledger.sent_calls import scoped

__all__ = ["book", "scoped"]
