"""FOCUS exports follow the rules of the specification."""

from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope
from cost_app.finance.month_close import close_month
from cost_app.finance.months import find_month
from cost_app.ledger.rollups import fold
from cost_app.models import LedgerKind
from tests.cost_app.finance.conftest import Book, Charges, at
from tests.cost_app.finance.focus_rules import broken_rules
from tests.cost_app.finance.priced_calls import make_price


def test_every_kind_of_line_follows_the_rules_of_focus(
    organization: Organization, book: Book, charges: Charges
) -> None:
    hours = [{"weekdays": [0, 1, 2, 3, 4, 5, 6], "from": "10:00", "to": "14:00"}]
    make_price(effective_from=at(9, 1), window_name="peak", window=hours)
    book(at(10, 5), 40_000_000, input_tokens=1_000, output_tokens=1_000, tags=["a", "ü"], user_ref="x")
    book(at(10, 5), 100, provider="fake", model="m1", input_tokens=100)
    book(at(10, 5), 0, provider="fake", model="free", input_tokens=100)
    book(at(10, 5), 77, model="unpriced", estimated=True)
    book(at(10, 5), -7, kind=LedgerKind.ADJUST, calls=0)
    book(at(10, 5), 9, kind=LedgerKind.MANUAL, calls=0)
    fold()
    with organization_scope(organization.pk):
        month = find_month(organization.pk, "2026-10-01")
        assert month
        close_month(organization=organization, month=month, actor="user:finance")
    book(at(10, 6), 5, kind=LedgerKind.EXTERNAL, input_tokens=1)
    found = charges()
    assert {line["PricingCategory"] for line in found} == {"", "Standard", "Dynamic", "Other"}
    assert {line["ChargeClass"] for line in found} == {"", "Correction"}
    assert [wrong for line in found for wrong in broken_rules(line)] == []
