"""Concurrent changes to budgets."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.db import connection, transaction

from aiinfra.tenants.models import AuditEvent, Organization
from aiinfra.tenants.scope import organization_scope
from cost_app.budgets.manage import (
    budget_terms,
    set_budget,
)
from cost_app.budgets.refusals import BudgetExceededError
from cost_app.budgets.terms import BudgetTerms
from cost_app.budgets.windows import windows_now
from cost_app.models import Attempt, Budget, BudgetWindow
from tests.cost_app.budgets.conftest import ACTOR, DOLLAR, Set


def concurrently(count: int, act: Callable[[int], object]) -> list[object]:
    """The results of concurrent calls, each in a thread with its own database connection."""
    barrier = Barrier(count)

    def run(number: int) -> object:
        barrier.wait()
        try:
            return act(number)
        finally:
            connection.close()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


@pytest.mark.django_db(transaction=True)
def test_concurrent_calls_create_one_budget(organization: Organization) -> None:
    """Each change records the previous limit, so the audit log is one chain from the first limit to the current one."""
    for tag in ("red", "green", "blue", "gold"):

        def act(number: int, tag: str = tag) -> object:
            terms = BudgetTerms("daily", (number + 1) * DOLLAR, scope="tag", scope_value=tag)
            return set_budget(organization_id=organization.pk, terms=terms, actor=ACTOR).id

        (budget_id,) = set(concurrently(4, act))
        with organization_scope(organization.pk):
            budget = Budget.objects.get(scope_value=tag)
            events = AuditEvent.objects.filter(target__startswith=f"budget {budget_id}: ").order_by("at")
            limits = [event.changes["limit"] for event in events]
        assert [before for before, _ in limits] == [None, *(after for _, after in limits[:-1])]
        assert (len(limits), limits[-1][1]) == (4, f"{budget.limit_nano // DOLLAR}.00")


@pytest.mark.django_db(transaction=True)
def test_no_call_is_admitted_after_a_concurrent_limit_cut(
    organization: Organization, open_attempt: Callable[..., Attempt]
) -> None:
    """In any order, the amount held when the limit change returns is the final amount."""
    with organization_scope(organization.pk):
        set_budget(organization_id=organization.pk, terms=_blocking(DOLLAR), actor=ACTOR)
        windows_now(organization.pk)

    def act(number: int) -> object:
        if number == 0:
            set_budget(organization_id=organization.pk, terms=_blocking(0), actor=ACTOR)
            with organization_scope(organization.pk):
                return BudgetWindow.objects.get().reserved_nano
        admitted = 0
        for _ in range(10):
            try:
                with transaction.atomic():
                    admitted += open_attempt().bound_nano
            except BudgetExceededError:
                break
        return admitted

    held_at_the_cut, *admitted = concurrently(3, act)
    with organization_scope(organization.pk):
        window = BudgetWindow.objects.get()
    assert window.limit_nano == 0
    assert held_at_the_cut == window.reserved_nano == sum(map(int, map(str, admitted)))


def _blocking(limit_nano: int) -> BudgetTerms:
    return BudgetTerms(period="daily", limit_nano=limit_nano, enforcement="block")


def test_setting_a_budget_to_its_own_terms_changes_nothing(set_to: Set, scoped: Organization) -> None:
    budget = set_to(scope="tag", scope_value="red", rollover_unused=True, rollover_cap_nano=5)
    again = set_budget(organization_id=scoped.pk, terms=budget_terms(budget, limit_nano=7), actor=ACTOR)
    assert (again.id, again.limit_nano, again.rollover_cap_nano) == (budget.id, 7, 5)
