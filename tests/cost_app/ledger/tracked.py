"""Reports of calls made outside aiinfra."""

from collections.abc import Callable

import pytest

from aiinfra.providers.base import TokenUsage
from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope
from cost_app.ledger.tracking import TrackedCall, track_request
from cost_app.models import (
    Attempt,
)

USAGE = TokenUsage(input=100, output=150)
COST = 56_000


@pytest.fixture
def track(organization: Organization) -> Callable[..., Attempt]:
    """Reports a call of deepseek-chat with these fields of `TrackedCall`."""

    def make(usage: TokenUsage = USAGE, model: str = "deepseek-chat", **fields: object) -> Attempt:
        call = TrackedCall(**fields)  # type: ignore[arg-type]
        with organization_scope(organization.pk):
            return track_request(organization.pk, "deepseek", model, usage, call)

    return make


Track = Callable[..., Attempt]
