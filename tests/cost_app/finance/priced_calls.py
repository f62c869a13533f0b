"""Attempts and list prices."""

from uuid import uuid4

from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope
from cost_app.models import Attempt, AttemptState, ModelPrice


def make_attempt(organization: Organization, **columns: object) -> Attempt:
    with organization_scope(organization.pk):
        return Attempt.objects.create(
            organization=organization, provider="openai", model="gpt-4", state=AttemptState.SETTLED, bound_nano=0,
            request_id=uuid4(), **columns,
        )  # fmt: skip


def make_price(**columns: object) -> ModelPrice:
    amounts = {"input": 10**9, "cache_read": 10**8, "cache_write": 1_250_000_000, "output": 10**10}
    return ModelPrice.objects.create(**{"provider": "fake", "model": "m1", "source": "test", **amounts, **columns})
