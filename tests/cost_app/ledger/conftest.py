"""Rows of the ledger, reports of calls, and the organization that they belong to."""

from tests.cost_app.ledger.booking import book
from tests.cost_app.ledger.sent_calls import scoped
from tests.cost_app.ledger.tracked import track

__all__ = ["book", "scoped", "track"]
