"""A request's events: each status once, in order, and only after the commit."""

import json
from collections.abc import Callable

import pytest

from aiinfra.live_events import events_after, newest_id
from aiinfra.tenants.models import Organization
from cost_app import create_cost_optimizer
from cost_app.budgets.manage import set_budget
from cost_app.budgets.terms import BudgetTerms
from cost_app.facade import BudgetExceededError
from queue_app import control
from queue_app.caching import coalescing
from queue_app.models import AIRequest, Status
from queue_app.ordering.claims import Claim, claim_next
from queue_app.processing import outcomes
from queue_app.processing.provider_call import process
from queue_app.repair.index_repair import recover_expired_leases
from queue_app.submission import submit
from queue_app.submission.submission import Submission
from tests.queue_app.conftest import ScriptedProvider, refusal

pytestmark = pytest.mark.usefixtures("queue", "scoped")
Published = Callable[[], list[tuple[str, str]]]


@pytest.fixture
def published(queue: None, organization: Organization) -> Published:
    """(request ID, status) of the events published since the test began."""
    since = newest_id(organization.pk)

    def look() -> list[tuple[str, str]]:
        events = [json.loads(event.data) for event in events_after(organization.pk, since)[0]]
        return [(event["requestId"], event["status"]) for event in events]

    return look


def statuses(published: Published) -> list[str]:
    return [status for _, status in published()]


def test_a_request_sends_events_from_acceptance_to_answer(
    claimed: Callable[..., Claim], provider: ScriptedProvider, published: Published
) -> None:
    process(claimed())
    assert statuses(published) == ["pending", "processing", "completed"]


def test_the_cost_covers_all_attempts(
    claimed: Callable[..., Claim], provider: ScriptedProvider, organization: Organization
) -> None:
    provider.script = [refusal("SERVER_ERROR", may_be_billed=True), provider.script[0]]
    claim = claimed()
    process(claim)
    AIRequest.objects.update(not_before=claim.request.created_at)
    again = AIRequest.objects.get()
    outcomes.enter(again)
    second = claim_next("worker")
    assert second is not None
    process(second)
    last = json.loads(events_after(organization.pk, "0-0")[0][-1].data)
    total = sum(each.cost_nano for each in create_cost_optimizer().attempts_of([again.id]))
    assert (last["status"], last["attempt"]) == ("completed", 2)
    assert round(float(last["cost"]) * 1e9) == total > 0


def test_a_returned_request_is_pending_again(claimed: Callable[..., Claim], published: Published) -> None:
    outcomes.give_back(claimed())
    assert statuses(published) == ["pending", "processing", "pending"]


def test_a_request_of_a_lost_worker_is_pending_again(claimed: Callable[..., Claim], published: Published) -> None:
    claim = claimed()
    AIRequest.objects.update(lease_until=claim.request.created_at)
    recover_expired_leases()
    assert statuses(published) == ["pending", "processing", "pending"]


def test_a_worker_that_lost_the_request_sends_no_event(
    claimed: Callable[..., Claim], provider: ScriptedProvider, published: Published
) -> None:
    claim = claimed()
    control.cancel(AIRequest.objects.get(), actor="test")
    process(claim)
    assert statuses(published) == ["pending", "processing", "cancelled"]


def test_a_manually_retried_request_is_pending_again(submit: Callable[..., AIRequest], published: Published) -> None:
    request = submit()
    control.cancel(request, actor="test")
    control.retry(request, actor="test")
    assert statuses(published) == ["pending", "cancelled", "pending"]


def test_a_refused_request_sends_no_event(
    submit: Callable[..., AIRequest], organization: Organization, published: Published
) -> None:
    terms = BudgetTerms(period="monthly", limit_nano=1, enforcement="block")
    set_budget(organization_id=organization.pk, terms=terms, actor="test")
    with pytest.raises(BudgetExceededError):
        submit()
    assert published() == []


@pytest.fixture
def followed(organization: Organization) -> tuple[AIRequest, AIRequest]:
    """A leader, and an identical request that waits for its answer."""
    same = Submission(organization.pk, "deepseek", "deepseek-chat", [{"role": "user", "content": "What is a tide?"}])
    leader, follower = submit.submit(same), submit.submit(same)
    assert follower.leader_id == leader.id
    return leader, follower


def test_followers_send_events(
    provider: ScriptedProvider, published: Published, followed: tuple[AIRequest, AIRequest]
) -> None:
    leader, follower = followed
    claim = claim_next("worker")
    assert claim is not None
    process(claim)
    of_follower = [status for request_id, status in published() if request_id == str(follower.id)]
    assert of_follower == ["pending", "completed"]
    assert [status for request_id, status in published() if request_id == str(leader.id)] == [
        "pending",
        "processing",
        "completed",
    ]


def test_a_follower_without_budget_fails_with_an_event(
    organization: Organization, published: Published, followed: tuple[AIRequest, AIRequest]
) -> None:
    leader, follower = followed
    terms = BudgetTerms(period="monthly", limit_nano=1, enforcement="block")
    set_budget(organization_id=organization.pk, terms=terms, actor="test")
    control.cancel(leader, actor="test")
    coalescing.settle_followers(leader.id)
    assert AIRequest.objects.get(id=follower.id).status == Status.FAILED
    assert published()[-2:] == [(str(follower.id), "failed"), (str(leader.id), "cancelled")]


def test_a_cache_hit_is_completed_immediately(
    provider: ScriptedProvider, published: Published, organization: Organization, followed: tuple[AIRequest, AIRequest]
) -> None:
    claim = claim_next("worker")
    assert claim is not None
    process(claim)
    same = Submission(organization.pk, "deepseek", "deepseek-chat", [{"role": "user", "content": "What is a tide?"}])
    hit = submit.submit(same)
    assert published()[-1] == (str(hit.id), "completed")
    assert [request_id for request_id, _ in published()].count(str(hit.id)) == 1
