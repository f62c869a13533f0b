"""Finance exports and months through the API."""

import json
from collections.abc import Callable

import pytest

from aiinfra.tenants.authorization import Role
from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope
from cost_app.finance.exports import LEDGER_COLUMNS
from cost_app.finance.focus import FOCUS_COLUMNS
from cost_app.finance.month_close import close_month
from cost_app.finance.months import find_month
from cost_app.finance.statement import STATEMENT_COLUMNS
from cost_app.ledger.rollups import fold
from tests.api.support import COST, EXPORTS, Caller, error_of, new_key
from tests.cost_app.finance.conftest import Book, at
from tests.cost_app.finance.test_exports import lines

OCTOBER = {"first": "2026-10-01", "last": "2026-10-31"}
KeyOf = Callable[..., Caller]


@pytest.fixture
def program(organization: Organization) -> Caller:
    """A caller with a finance role's API key that is limited to `finance:read`."""
    return Caller(key=new_key(organization, Role.FINANCE, ["finance:read"]))


def test_exports_contain_only_rows_of_the_organization(
    program: Caller, book: Book, other_organization: Organization
) -> None:
    book(at(10, 5), 2_000_000_000, input_tokens=1, user_ref="anna")
    book(at(10, 5), 1, organization=other_organization)
    fold()
    for action, columns, cost in (("ledger", LEDGER_COLUMNS, "cost"), ("focus", FOCUS_COLUMNS, "BilledCost")):
        response = program.get(EXPORTS, action=action, **OCTOBER)
        assert response["Content-Type"] == "text/csv; charset=utf-8"
        [line] = lines(response)
        assert list(line) == columns
        assert line[cost] == "2.00"
    found = lines(program.get(EXPORTS, action="statement", month="2026-10-01"))
    assert list(found[0]) == STATEMENT_COLUMNS
    assert (found[0]["cost"], found[0]["currency"]) == ("2.00", "USD")


def test_months_are_listed_with_their_closed_figures(organization: Organization, program: Caller, book: Book) -> None:
    book(at(10, 5), 2_000_000_000)
    fold()
    with organization_scope(organization.pk):
        month = find_month(organization.pk, "2026-10-01")
        assert month
        close_month(organization=organization, month=month, actor="user:finance")
    book(at(10, 6), 500_000_000)
    fold()
    current, october = json.loads(program.get(COST, action="months").content)["months"]
    assert (current["isOver"], current["isClosed"], current["cost"], current["corrections"]) == (
        False, False, "0.00", None,
    )  # fmt: skip
    assert october == {
        "firstDay": "2026-10-01", "lastDay": "2026-10-31", "startsAt": "2026-09-30T22:00:00Z",
        "endsAt": "2026-10-31T23:00:00Z", "timeZone": "Europe/Berlin", "isOver": True, "isClosed": True,
        "isVerified": True, "cost": "2.00", "requests": 1, "corrections": "0.50",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("query", "status", "param"),
    [
        ({"action": "ledger", "first": "2026-10-31", "last": "2026-10-01"}, 400, "last"),
        ({"action": "focus", "first": "1999-12-31", "last": "2026-10-01"}, 400, "first"),
        ({"action": "focus", "first": "03/04/2026", "last": "2026-10-01"}, 400, "first"),
        ({"action": "focus", "first": "1793059200", "last": "2026-10-01"}, 400, "first"),
        ({"action": "ledger", "first": "2026-02-30", "last": "2026-10-01"}, 400, "first"),
        ({"action": "ledger"}, 400, "first"),
        ({"action": "statement", "month": "2026-10-02"}, 404, None),
        ({"action": "statement", "month": "9999-12-01"}, 404, None),
        ({}, 400, "action"),
    ],
)
def test_invalid_days_are_rejected_before_streaming(
    program: Caller, query: dict[str, str], status: int, param: str | None
) -> None:
    response = program.get(EXPORTS, **query)
    assert response.status_code == status
    assert error_of(response)["param"] == param


def test_key_without_the_scope_is_rejected(organization: Organization) -> None:
    caller = Caller(key=new_key(organization, Role.FINANCE, ["cost:read"]))
    assert caller.get(EXPORTS, action="ledger", **OCTOBER).status_code == 403
    assert caller.get(COST, action="months").status_code == 403
