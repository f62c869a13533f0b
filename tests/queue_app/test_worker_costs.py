"""The exact number of statements, commits, and Redis round trips that a worker needs per request."""

from collections.abc import Callable

import pytest
from django.db import connection

from aiinfra.notifications.channels import add_channel
from aiinfra.providers import breaker
from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope
from aiinfra.tenants.webhook_secrets import rotate_webhook_secret
from queue_app import tasks
from queue_app.models import AIRequest, Status
from queue_app.submission.submission import Submission
from queue_app.submission.submit import submit
from tests.queue_app.conftest import ScriptedProvider, refusal
from tests.support.costs import counted_costs
from tests.tenants.made_keys import make

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("queue", "provider")]
Submit = Callable[..., AIRequest]
RETRY_STATEMENTS = {"sqlite": 16, "postgresql": 17}


@pytest.fixture
def ask(organization: Organization) -> Submit:
    """Accepts a new question each time, or the given text."""
    numbers = iter(range(100))

    def make(text: str = "", **fields: object) -> AIRequest:
        messages = [{"role": "user", "content": text or f"How do I plant {next(numbers)} trees?"}]
        with organization_scope(organization.pk):
            return submit(Submission(organization.pk, "deepseek", "deepseek-chat", messages, **fields))  # type: ignore[arg-type]

    return make


def costs_of_one() -> tuple[int, int, int]:
    """The costs of the next request in a warm worker: scripts, prices, and policies are cached."""
    assert tasks._work_once("worker")
    with counted_costs() as costs:
        assert tasks._work_once("worker")
    return costs.counts


def test_answer_costs_ten_statements_two_commits_and_three_round_trips(ask: Submit) -> None:
    for _ in range(2):
        ask(cache_mode="bypass")
    assert costs_of_one() == (10, 2, 3)


def test_cacheable_answer_also_writes_its_cache_entry_and_releases_its_followers(ask: Submit) -> None:
    for _ in range(2):
        ask()
    assert costs_of_one() == (13, 3, 4)


def test_webhook_costs_three_statements_and_no_commit(ask: Submit, organization: Organization) -> None:
    fields = {"kind": "requests", "name": "programs", "target": "", "min_severity": "low", "actor": "user:admin"}
    add_channel(organization_id=organization.pk, **fields)
    for _ in range(2):
        ask(cache_mode="bypass", webhook="https://example.com/hook")
    assert costs_of_one() == (13, 2, 3)


def test_webhook_signed_by_its_key_costs_one_more_statement(ask: Submit, organization: Organization) -> None:
    key, _ = make(organization)
    with organization_scope(organization.pk):
        rotate_webhook_secret(key=key, actor="user:admin")
    for _ in range(2):
        ask(cache_mode="bypass", webhook="https://example.com/hook", api_key_id=key.pk)
    assert costs_of_one() == (14, 2, 3)


@pytest.mark.usefixtures("no_fallback")
def test_retry_costs_a_new_attempt(ask: Submit, provider: ScriptedProvider) -> None:
    provider.script = [refusal("RATE_LIMITED")]
    for _ in range(2):
        ask(cache_mode="bypass")
    assert costs_of_one() == (RETRY_STATEMENTS[connection.vendor], 2, 7)


def test_breaker_is_checked_only_while_a_circuit_is_not_closed(ask: Submit) -> None:
    for _ in range(2):
        ask(cache_mode="bypass")
    for _ in range(9):
        breaker.record_failure("openai", "gpt-3.5-turbo")
    assert costs_of_one() == (10, 2, 4)


def test_empty_queue_costs_one_round_trip(ask: Submit) -> None:
    ask(cache_mode="bypass")
    assert tasks._work_once("worker")
    with counted_costs() as costs:
        assert not tasks._work_once("worker")
    assert costs.counts == (0, 0, 1)


def test_claim_and_dispatch_share_one_commit(ask: Submit, provider: ScriptedProvider) -> None:
    """A lost worker has either changed nothing, or its call may have been sent."""
    seen: list[int] = []
    answer = provider.script[0]
    ask(cache_mode="bypass")
    with counted_costs() as costs:
        provider.script = [lambda _attempt: (seen.append(costs.commits), answer)[1]]  # type: ignore[list-item]
        assert tasks._work_once("worker")
    assert (seen, costs.commits) == ([1], 2)


def test_cancelled_request_is_not_sent_and_leaves_the_index(ask: Submit, provider: ScriptedProvider) -> None:
    request = ask(cache_mode="bypass")
    with organization_scope(request.organization_id):
        AIRequest.objects.filter(id=request.id).update(status=Status.CANCELLED, completed_at=request.created_at)
    with counted_costs() as costs:
        assert tasks._work_once("worker")
    assert (provider.calls, costs.counts) == ([], (1, 0, 2))
