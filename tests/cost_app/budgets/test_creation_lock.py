"""A call that begins while a budget is being created waits for it, so that the budget counts it once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, transaction

from aiinfra.providers.base import TokenUsage
from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope
from cost_app.budgets import creation_lock
from cost_app.ledger.reconciliation import disagreements
from cost_app.ledger.rollups import fold
from cost_app.ledger.tracking import track_request
from cost_app.models import Attempt, BudgetWindow
from tests.cost_app.budgets.conftest import set_in
from tests.support.locks import is_blocking
from tests.support.processes import wait_until

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time"),
]


@pytest.mark.parametrize("is_report", [True, False], ids=["report", "call"])
def test_call_waits_for_a_budget_that_is_being_created(
    organization: Organization, open_attempt: Callable[..., Attempt], is_report: bool
) -> None:
    def begin() -> Attempt:
        try:
            if not is_report:
                return open_attempt()
            with organization_scope(organization.pk):
                return track_request(organization.pk, "deepseek", "deepseek-chat", TokenUsage(input=9, output=9))
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as threads:
        with organization_scope(organization.pk), transaction.atomic():
            creation_lock.lock_exclusive(organization.pk)
            begun = threads.submit(begin)
            wait_until(lambda: begun.done() or is_blocking(), "the call to wait for the new budget")
            assert not begun.done()
            set_in(organization)
        call = begun.result()
    with organization_scope(organization.pk):
        window = BudgetWindow.objects.get()
    assert window.committed_nano + window.reserved_nano == call.bound_nano > 0
    fold()
    assert list(disagreements()) == []
