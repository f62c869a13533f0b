"""`/playground/`: access, choices, and the steps of a request."""

from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse

from aiinfra.gateway.pages.steps import Step, steps_of
from aiinfra.providers.aliases import set_alias
from aiinfra.templatetags.formats import money
from aiinfra.tenants.models import Organization, User
from aiinfra.tenants.scope import organization_scope
from cache_app.models import CacheHit
from cost_app.budgets.manage import set_budget
from cost_app.budgets.terms import BudgetTerms
from cost_app.models import Attempt
from queue_app.models import AIRequest, Priority, Status
from queue_app.ordering.claims import Claim
from queue_app.processing.provider_call import process
from tests.queue_app.conftest import ScriptedProvider, claimed, no_fallback, queue, refusal, scoped, submit
from tests.support.rows import make_row

__all__ = ["claimed", "no_fallback", "queue", "scoped", "submit"]

Browser = Callable[[User], Client]
Submit = Callable[..., AIRequest]

pytestmark = pytest.mark.usefixtures("queue")


def steps_by_title(request: AIRequest) -> dict[str, Step]:
    request.refresh_from_db()
    return {step.title: step for step in steps_of(request)}


@pytest.mark.usefixtures("scoped")
def test_waiting_request_shows_its_position_and_reservation(submit: Submit) -> None:
    submit(priority=Priority.HIGH)
    steps = steps_by_title(submit(priority=Priority.HIGH, cache_mode="bypass"))
    assert list(steps) == ["Cache", "Route", "Reservation", "Queue", "Attempt 1", "Cost"]
    assert steps["Cache"].text == "Not asked: the cache is off."
    assert steps["Route"].text == "deepseek/deepseek-chat"
    assert steps["Reservation"].text.startswith("Up to $0.0")
    assert steps["Reservation"].text.endswith("is reserved until the call is booked.")
    assert steps["Queue"].text == "Waiting at high priority, place 2."
    assert steps["Attempt 1"].text == "deepseek/deepseek-chat, not sent yet"
    assert steps["Cost"].text == "$0.00 so far"


@pytest.mark.usefixtures("scoped")
def test_reservation_shows_the_remaining_budget(organization: Organization, submit: Submit) -> None:
    terms = BudgetTerms(period="monthly", limit_nano=5_000_000_000, enforcement="block")
    set_budget(organization_id=organization.pk, terms=terms, actor="command:test")
    request = submit()
    bound = Attempt.objects.get().bound_nano
    assert steps_by_title(request)["Reservation"].text.endswith(
        f"{money(5_000_000_000 - bound)} left in the tightest budget."
    )


@pytest.mark.usefixtures("scoped")
def test_answered_request_shows_tokens_and_cost(claimed: Callable[..., Claim], provider: ScriptedProvider) -> None:
    claim = claimed()
    process(claim)
    steps = steps_by_title(claim.request)
    assert steps["Reservation"].text.endswith("was reserved until the call was booked.")
    assert steps["Queue"].text.startswith("Started")
    assert "charged" in steps["Attempt 1"].text
    assert "20 tokens in, 10 out" in steps["Attempt 1"].text
    assert (steps["Attempt 1"].tone, steps["Cost"].tone) == ("good", "")
    assert steps["Cost"].text.startswith("$0.00000")


@pytest.mark.usefixtures("scoped", "no_fallback")
def test_failed_request_shows_which_attempt_failed_and_why(
    claimed: Callable[..., Claim], provider: ScriptedProvider
) -> None:
    provider.script = [refusal("INVALID_REQUEST")]
    claim = claimed(max_retries=0)
    process(claim)
    steps = steps_by_title(claim.request)
    assert steps["Attempt 1"].tone == steps["Cost"].tone == "bad"
    assert "INVALID_REQUEST: it said INVALID_REQUEST" in steps["Attempt 1"].text
    assert steps["Cost"].text == "$0.00. The request failed: it said INVALID_REQUEST"


@pytest.mark.usefixtures("scoped")
def test_fallback_is_shown(claimed: Callable[..., Claim], provider: ScriptedProvider) -> None:
    provider.script = [refusal("MODEL_NOT_FOUND")]
    claim = claimed()
    process(claim)
    steps = steps_by_title(claim.request)
    assert steps["Route"].text == "deepseek/deepseek-chat"
    assert " instead, not sent yet" in steps["Attempt 2"].text


@pytest.mark.usefixtures("scoped")
@pytest.mark.parametrize(
    ("layer", "text"),
    [
        ("exact", "Answered: exact match."),
        ("semantic", "Answered: semantic match, similarity 0.970."),
        ("", "Answered with an identical request."),
    ],
)
def test_cached_answer_shows_how_it_was_found(
    organization: Organization, submit: Submit, layer: str, text: str
) -> None:
    request = submit()
    ended = {"status": Status.COMPLETED, "completed_at": request.created_at, "cached": True}
    AIRequest.objects.filter(pk=request.pk).update(**ended)
    if layer:
        marks = {"id": request.pk, "layer": layer, "similarity": 0.97, "saved_nano": 42_000, "shadow": False}
        make_row(CacheHit, organization, marks)
    steps = steps_by_title(request)
    assert steps["Cache"].text == text
    assert ("Saved" in steps) == bool(layer)
    assert not layer or steps["Saved"].text == "$0.000042"


def test_steps_refresh_until_the_request_ends(
    organization: Organization, submit: Submit, viewer: User, client_of: Browser
) -> None:
    request = submit()
    path = reverse("request_steps", args=[request.pk])
    assert f"requestId={request.pk}" in client_of(viewer).get(path).text
    with organization_scope(organization.pk):
        AIRequest.objects.filter(pk=request.pk).update(status=Status.CANCELLED, completed_at=request.created_at)
    page = client_of(viewer).get(path).text
    assert "data-live" not in page
    assert "The request was cancelled." in page


def test_another_organizations_steps_return_404(submit: Submit, stranger: User, client_of: Browser) -> None:
    assert client_of(stranger).get(reverse("request_steps", args=[submit().pk])).status_code == 404


def test_page_offers_aliases_and_models(organization: Organization, operator: User, client_of: Browser) -> None:
    with organization_scope(organization.pk):
        set_alias(organization_id=organization.pk, name="writer", target="gpt-4", actor="command:test")
    page = client_of(operator).get("/playground/").text
    for name in ("writer", "auto", "cheap", "fast"):
        assert f'<option value="{name}"' in page


def test_members_without_permission_have_no_playground(viewer: User, client_of: Browser) -> None:
    client = client_of(viewer)
    assert client.get("/playground/").status_code == 403
    assert "/playground/" not in client.get("/queue/").text
