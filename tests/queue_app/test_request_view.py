import json
from collections.abc import Callable
from uuid import UUID

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from aiinfra.providers.base import TokenUsage
from aiinfra.providers.models import FallbackRoute
from aiinfra.tenants.models import Organization, User
from aiinfra.tenants.scope import organization_scope, system_scope
from aiinfra.tenants.security_log.events import Event
from aiinfra.tenants.security_log.models import SecurityEvent
from cost_app.models import Attempt
from queue_app import control
from queue_app.models import AIRequest, RequestContent
from queue_app.ordering.claims import Claim, claim_next
from queue_app.processing import outcomes
from queue_app.processing.provider_call import process
from tests.cache_app.learning.made import make_hit
from tests.queue_app.conftest import ScriptedProvider, answer, refusal

Submit = Callable[..., AIRequest]
Claimed = Callable[..., Claim]
Browser = Callable[[User], Client]
HTMX = {"HX-Request": "true"}
QUESTION = [{"role": "user", "content": "What is <b>scope 3</b>?"}]


def url_of(request: AIRequest) -> str:
    return reverse("queue_request", args=[request.id])


def read(request_id: UUID, organization_id: int) -> AIRequest:
    with organization_scope(organization_id):
        return AIRequest.objects.get(id=request_id)


def test_a_waiting_request_shows_its_position(submit: Submit, browser: Client) -> None:
    submit()
    page = browser.get(url_of(submit(user_ref="mara", conversation_id="talk-7", tags=["esg"]))).text
    assert "Position 2 in the queue" in page
    assert "Not sent yet" in page
    for text in ("mara", "talk-7", "esg", "deepseek-chat"):
        assert text in page


def test_an_answered_request_shows_prompt_answer_tokens_and_cost(
    claimed: Claimed, provider: ScriptedProvider, browser: Client
) -> None:
    provider.script = [answer("Everything else.")]
    claim = claimed(messages=QUESTION)
    process(claim)
    page = browser.get(url_of(claim.request)).text
    assert "What is &lt;b&gt;scope 3&lt;/b&gt;?" in page
    assert "Everything else." in page
    assert "Charged" in page
    assert "20 input" in page
    assert "10 output" in page
    assert "$0.0000056" in page


def test_billed_extras_besides_tokens_are_shown(claimed: Claimed, provider: ScriptedProvider, browser: Client) -> None:
    usage = TokenUsage(20, output=10, cache_write_1h=5, tool_uses={"web_search": 2}, tier="flex", reported_nano=700_000)
    claim = claimed()
    provider.script = [answer(usage=usage)]
    process(claim)
    page = browser.get(url_of(claim.request)).text
    for text in (
        "flex tier",
        "the provider reports $0.0007",
        "5 cache write",
        "5 1-hour cache write",
        "2 web search uses",
    ):
        assert text in page


def test_an_estimated_answer_explains_its_booking(
    claimed: Claimed, provider: ScriptedProvider, browser: Client
) -> None:
    claim = claimed()
    provider.script = [answer(usage=None)]
    process(claim)
    page = browser.get(url_of(claim.request)).text
    assert "Booked by our own token count" in page
    assert "MISSING_USAGE" not in page


def test_members_without_content_permission_see_a_note(
    claimed: Claimed, provider: ScriptedProvider, viewer: User, client_of: Browser
) -> None:
    provider.script = [answer("Everything else.")]
    claim = claimed(messages=QUESTION)
    process(claim)
    page = client_of(viewer).get(url_of(claim.request)).text
    assert "Your role can't view prompts and answers." in page
    assert "scope 3" not in page
    assert "Everything else." not in page


def test_a_deleted_prompt_is_explained(submit: Submit, browser: Client) -> None:
    request = submit()
    with organization_scope(request.organization_id):
        RequestContent.objects.all().delete()
    assert "Deleted by retention." in browser.get(url_of(request)).text


def test_a_fallback_and_its_cause_are_on_the_timeline(
    claimed: Claimed, provider: ScriptedProvider, browser: Client
) -> None:
    provider.script = [refusal("AUTHENTICATION"), answer()]
    claim = claimed()
    with organization_scope(claim.request.organization_id):
        FallbackRoute.objects.create(
            organization_id=claim.request.organization_id,
            provider="deepseek",
            model="deepseek-chat",
            position=1,
            to_provider="anthropic",
            to_model="claude-haiku-4-5",
        )
    process(claim)
    again = claim_next("worker")
    assert again is not None
    process(again)
    steps = browser.get(url_of(claim.request)).context["steps"]
    assert [(step.attempt.model, step.is_fallback, step.outcome, step.tone) for step in steps] == [
        ("deepseek-chat", False, "not charged", "bad"),
        ("claude-haiku-4-5", True, "charged", "good"),
    ]
    assert steps[0].error == "it said AUTHENTICATION"


def test_a_lost_worker_is_visible_with_the_bound_that_was_booked(claimed: Claimed, browser: Client) -> None:
    claim = claimed()
    with organization_scope(claim.request.organization_id):
        attempt = outcomes.cost.current_attempt(claim.request.id, 1)
        outcomes.cost.dispatch(attempt, claim.timeout)
        AIRequest.objects.update(lease_until=timezone.now() - claim.timeout)
        outcomes.recover(AIRequest.objects.get(), claim.call)
    page = browser.get(url_of(claim.request)).text
    assert "The worker was lost while it ran this attempt." in page
    assert "Booked at its upper bound until the provider reports the actual cost" in page


def test_a_retry_delay_is_shown(claimed: Claimed, provider: ScriptedProvider, browser: Client) -> None:
    provider.script = [refusal("RATE_LIMITED", retry_after_s=20)]
    claim = claimed()
    process(claim)
    assert "at the earliest" in browser.get(url_of(claim.request)).text


def test_a_live_request_page_polls_until_the_end(submit: Submit, browser: Client) -> None:
    request = submit(messages=QUESTION)
    waiting = browser.get(url_of(request), headers=HTMX)
    assert (waiting.status_code, "data-live" in waiting.text) == (200, True)
    assert "scope 3" not in waiting.text, "the page already has the prompt"
    with organization_scope(request.organization_id):
        control.cancel(request, actor="user:x")
    ended = browser.get(url_of(request), headers=HTMX)
    assert (ended.status_code, "data-live" in ended.text) == (286, False)
    assert "<html" not in ended.text


def test_a_request_is_cancelled_and_retried_on_its_page(submit: Submit, browser: Client) -> None:
    request = submit()
    for name, status in (("queue_cancel", "cancelled"), ("queue_retry", "pending")):
        response = browser.post(reverse(name, args=[request.id]), follow=True)
        assert response.redirect_chain == [(url_of(request), 302)]
        assert response.context["row"].request.status == status
    assert "Request queued again." in response.text
    assert [step.is_manual_retry for step in response.context["steps"]] == [False, True]


def test_htmx_gets_the_new_state_and_a_toast(submit: Submit, browser: Client) -> None:
    request = submit()
    response = browser.post(reverse("queue_cancel", args=[request.id]), headers=HTMX)
    assert "status-cancelled" in response.text
    assert json.loads(response.headers["HX-Trigger"])["toast"]["text"] == "Request cancelled."


def test_an_impossible_action_is_explained_and_changes_nothing(submit: Submit, browser: Client) -> None:
    request = submit()
    response = browser.post(reverse("queue_retry", args=[request.id]), headers=HTMX)
    assert response.status_code == 422
    assert json.loads(response.headers["HX-Trigger"])["toast"] == {
        "level": "error",
        "text": "Only a failed or cancelled request can be retried.",
    }
    page = browser.post(reverse("queue_retry", args=[request.id]), follow=True).text
    assert "Only a failed or cancelled request can be retried." in page
    assert read(request.id, request.organization_id).attempt_number == 1


def test_members_without_permission_see_no_buttons(
    submit: Submit, viewer: User, browser: Client, client_of: Browser
) -> None:
    request = submit()
    assert "cancel-request" in browser.get(url_of(request)).text
    assert "cancel-request" not in client_of(viewer).get(url_of(request)).text


def test_more_attempts_cost_no_more_queries(submit: Submit, browser: Client) -> None:
    request = submit()
    with CaptureQueriesContext(connection) as few:
        browser.get(url_of(request))
    with organization_scope(request.organization_id):
        first = Attempt.objects.get()
        for number in range(2, 11):
            first.pk, first.number = None, number
            first.id = UUID(int=number)
            first.save(force_insert=True)
    with CaptureQueriesContext(connection) as many:
        assert len(browser.get(url_of(request)).context["steps"]) == 10
    assert len(many) == len(few)


def test_a_cached_request_shows_how_it_was_answered(
    submit: Submit, browser: Client, viewer: User, client_of: Browser, organization: Organization
) -> None:
    request = submit()
    with organization_scope(organization.pk):
        now = timezone.now()
        AIRequest.objects.filter(id=request.id).update(status="completed", completed_at=now, cached=True)
        hit = make_hit(organization, id=request.id, similarity=0.9123, saved_nano=5_600)
    page = browser.get(url_of(request)).text
    for text in ("Answered by the cache", "similarity 0.912", hit.cached_question, "$0.0000056", hit.entry_id):
        assert text in page
    assert hit.cached_question not in client_of(viewer).get(url_of(request)).text


def test_a_follower_links_to_its_leader(submit: Submit, browser: Client) -> None:
    leader, follower = submit(), submit()
    with system_scope():
        AIRequest.objects.filter(id=follower.id).update(leader_id=leader.id)
    page = browser.get(url_of(follower)).text
    assert "Waiting for the answer to" in page
    assert url_of(leader) in page


def content_reads() -> list[tuple[str, str, str]]:
    rows = SecurityEvent.objects.filter(event=Event.CONTENT_READ).order_by("sequence")
    return list(rows.values_list("actor", "organization", "target"))


def test_each_view_of_a_prompt_is_recorded(submit: Submit, browser: Client, viewer: User, client_of: Browser) -> None:
    row = submit(messages=QUESTION)
    client_of(viewer).get(url_of(row))
    browser.get(url_of(row), headers=HTMX)
    assert content_reads() == []
    browser.get(url_of(row))
    browser.get(url_of(row))
    assert content_reads() == [("user:operator", "north", f"request {row.id}")] * 2
