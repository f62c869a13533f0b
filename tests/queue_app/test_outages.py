"""During an outage, the queue's page shows what fails, since when, with which error, and which requests wait."""

from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django.fixtures import Settings

from aiinfra.redis import redis_client
from aiinfra.tenants.models import Organization, User
from cost_app.ledger import rollups
from cost_app.models import ModelState
from queue_app.models import AIRequest, Status
from queue_app.ordering import index
from queue_app.ordering.claims import claim_next
from queue_app.pages.screens import live_queue
from queue_app.processing.provider_call import process
from queue_app.stats.outages import RECOVERED_AFTER
from tests.queue_app.conftest import ScriptedProvider, answer, refusal

pytestmark = pytest.mark.usefixtures("no_fallback")
Submit = Callable[..., AIRequest]
Browser = Callable[[User], Client]
CHAT = "deepseek/deepseek-chat"


def work(times: int) -> None:
    for _ in range(times):
        if claim := claim_next("worker"):
            process(claim)
    rollups.fold()


@pytest.fixture
def outage(submit: Submit, provider: ScriptedProvider, settings: Settings) -> list[AIRequest]:
    """Thirty pending requests whose first attempt failed or met the open circuit."""
    settings.RETRY_BASE_S = settings.RETRY_MAX_S = 1_000_000  # the delay is random; none ends during the test
    provider.script = [refusal("SERVER_ERROR")]
    requests = [submit() for _ in range(30)]
    work(30)
    return requests


def test_a_failing_model_is_shown_with_its_error_and_waiting_requests(
    outage: list[AIRequest], scoped: Organization
) -> None:
    (found,) = live_queue().outages
    assert (found.name, found.held, found.circuit, found.is_partial) == (CHAT, 30, "open", False)
    assert found.error is not None
    assert (found.error.code, found.error.message) == ("SERVER_ERROR", "it said SERVER_ERROR")
    assert found.since is not None and found.since <= timezone.now()


def test_the_outage_notice_links_to_the_provider_and_the_requests(
    outage: list[AIRequest], viewer: User, client_of: Browser
) -> None:
    client = client_of(viewer)
    page = client.get(reverse("queue_live")).text
    assert "Calls to" in page and "are failing" in page
    assert f"{reverse('providers')}#deepseekdeepseek-chat" in page
    for link, count in (("status=held&amp;failed=deepseek%2Fdeepseek-chat", 30), ("error=SERVER_ERROR", 5)):
        assert link in page
        query = link.replace("&amp;", "&") + ("&failed=deepseek%2Fdeepseek-chat" if "failed" not in link else "")
        assert len(client.get(f"{reverse('queue_requests')}?{query}").context["rows"]) == count


def test_a_zero_error_rate_warns_while_attempts_fail(outage: list[AIRequest], scoped: Organization) -> None:
    live = live_queue()
    assert (live.stats.recent.error_rate, live.failed_attempts, live.error_tone) == (None, 5, "warn")
    assert live.held_back == 30


def test_the_next_answer_ends_an_outage(
    outage: list[AIRequest], scoped: Organization, provider: ScriptedProvider, settings: Settings
) -> None:
    settings.BREAKER_OPEN_S = 0
    provider.script = [answer()]
    AIRequest.objects.filter(status=Status.PENDING).update(not_before=timezone.now())
    redis_client().flushall()
    index.admit(AIRequest.objects.filter(status=Status.PENDING))
    work(30)
    assert live_queue().outages == []


def test_one_failure_among_many_answers_is_not_an_outage(
    submit: Submit, provider: ScriptedProvider, scoped: Organization
) -> None:
    provider.script = [answer(), answer(), refusal("SERVER_ERROR"), answer()]
    for _ in range(4):
        submit()
    work(4)
    assert live_queue().outages == []


def test_many_failures_among_answers_are_a_partial_outage(
    submit: Submit, provider: ScriptedProvider, scoped: Organization
) -> None:
    provider.script = [refusal("TIMEOUT"), answer(), refusal("TIMEOUT"), answer(), refusal("TIMEOUT"), answer()]
    for _ in range(6):
        submit()
    work(6)
    (found,) = live_queue().outages
    assert (found.is_partial, found.failed, found.calls) == (True, 3, 6)
    ModelState.objects.update(failed_at=timezone.now() - RECOVERED_AFTER)
    assert live_queue().outages == []


def test_caller_errors_are_not_an_outage(submit: Submit, provider: ScriptedProvider, scoped: Organization) -> None:
    provider.script = [refusal("INVALID_REQUEST")]
    for _ in range(6):
        submit()
    work(6)
    assert live_queue().outages == []


def test_other_organizations_outages_are_not_shown(outage: list[AIRequest], stranger: User, client_of: Browser) -> None:
    assert "are failing" not in client_of(stranger).get(reverse("queue_live")).text
