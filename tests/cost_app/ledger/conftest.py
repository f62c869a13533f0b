"""Ledger entries, reported calls, and the scope of their organization."""

from tests.cost_app.ledger.booking import book
from tests.cost_app.ledger.sent_calls import scoped
from tests.cost_app.ledger.tracked import track

__all__ = ["book", "scoped", "track"]
