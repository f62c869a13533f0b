"""Attempts that were sent, and their ledger entries."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from aiinfra.providers.base import TokenUsage
from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope
from cost_app.ledger import attempts
from cost_app.models import (
    Attempt,
    LedgerEntry,
)

Open = Callable[..., Attempt]

USAGE = TokenUsage(input=100, output=150, reasoning=50)


@pytest.fixture
def scoped(organization: Organization) -> object:
    with organization_scope(organization.pk):
        yield


def sent(attempt: Attempt) -> Attempt:
    assert attempts.dispatch(attempt, timedelta(seconds=30))
    return Attempt.objects.get(id=attempt.id)


def ledger() -> list[tuple[str, int]]:
    return list(LedgerEntry.objects.order_by("id").values_list("kind", "nano"))
