"""Identical concurrent requests: a leader and its followers."""

from collections.abc import Callable

import pytest

from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope
from cost_app.budgets.windows import windows_now
from cost_app.models import Budget
from queue_app.models import AIRequest, RequestContent
from queue_app.ordering.claims import Claim, claim_next
from queue_app.packing import unpack
from queue_app.submission.submission import Submission
from queue_app.submission.submit import submit

Ask = Callable[..., AIRequest]
COST = 20 * 140 + 10 * 280


@pytest.fixture
def send(queue: None, organization: Organization) -> Ask:
    """Sends the same question each time. Arguments are fields of `Submission`."""

    def make(**fields: object) -> AIRequest:
        messages = [{"role": "user", "content": "How do I plan a garden?"}]
        defaults = {"organization_id": organization.pk, "provider": "deepseek", "model": "deepseek-chat"}
        submission = Submission(**{**defaults, "messages": messages, **fields})  # type: ignore[arg-type]
        with organization_scope(submission.organization_id):
            return submit(submission)

    return make


def claimed() -> Claim:
    claim = claim_next("worker")
    assert claim
    return claim


def now(request: AIRequest) -> AIRequest:
    """The row's current values."""
    return AIRequest.objects.get(id=request.id)


def statuses(*requests: AIRequest) -> list[str]:
    return [now(request).status for request in requests]


def response_of(request: AIRequest) -> str | None:
    packed = RequestContent.objects.get(request_id=request.id).response
    return unpack(packed)["content"] if packed else None


def spend_everything(organization: Organization, left: int = 0) -> None:
    """Add a blocking budget with `left` nano-dollars remaining."""
    Budget.objects.create(organization=organization, period="daily", limit_nano=left, enforcement="block")
    windows_now(organization.pk)
