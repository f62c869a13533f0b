"""Failed calls: retried, sent to a fallback model, or given up."""

from datetime import timedelta

import pytest
from django.utils import timezone

from aiinfra.providers.models import FallbackOptOut, FallbackRoute
from aiinfra.tenants.models import Organization
from cost_app.budgets.windows import windows_now
from cost_app.models import Attempt, Budget, BudgetWindow
from queue_app.models import Status
from queue_app.ordering import index
from queue_app.ordering.claims import Claim, claim_next
from queue_app.processing import outcomes
from queue_app.processing.provider_call import process
from tests.queue_app.conftest import ScriptedProvider, answer, refusal
from tests.queue_app.outcomes import COST, Claimed, booked, delay_ends, row, states

pytestmark = pytest.mark.usefixtures("scoped")


def test_a_temporary_failure_is_retried_with_a_new_attempt(claimed: Claimed, provider: ScriptedProvider) -> None:
    provider.script = [refusal("RATE_LIMITED", retry_after_s=60), answer()]
    process(claimed())
    assert (row().status, row().attempt_number, states()) == (Status.PENDING, 2, ["released", "reserved"])
    assert row().not_before > timezone.now() + timedelta(seconds=50)
    assert row().lease_until is None
    assert claim_next("worker") is None
    delay_ends()
    again = claim_next("worker")
    assert again
    process(again)
    assert (row().status, states(), booked()) == (Status.COMPLETED, ["released", "settled"], COST)


@pytest.fixture
def no_default_fallback(organization: Organization) -> None:
    """Only the requested model is tried."""
    FallbackOptOut(organization=organization).save()


def test_a_failed_request_without_a_custom_chain_uses_the_default_one(
    claimed: Claimed, provider: ScriptedProvider
) -> None:
    provider.script = [refusal("SERVER_ERROR"), answer()]
    process(claimed(max_retries=0))
    fallback = claim_next("worker")
    assert fallback
    process(fallback)
    models = [attempt.model for attempt in Attempt.objects.order_by("number")]
    assert (row().status, models) == (Status.COMPLETED, ["deepseek-chat", "gpt-3.5-turbo"])


@pytest.mark.parametrize("metadata", [{"purpose": "warm"}, {"rechecks": "a hit"}])
def test_cache_warming_requests_never_fall_back(
    claimed: Claimed, provider: ScriptedProvider, metadata: dict[str, str]
) -> None:
    provider.script = [refusal("SERVER_ERROR")]
    process(claimed(max_retries=0, metadata=metadata))
    assert (row().status, states()) == (Status.FAILED, ["released"])


def test_after_all_retries_the_request_fails_with_the_reason(
    claimed: Claimed, provider: ScriptedProvider, no_default_fallback: None
) -> None:
    provider.script = [refusal("SERVER_ERROR")]
    claim: Claim | None = claimed(max_retries=2)
    while claim:
        process(claim)
        delay_ends()
        claim = claim_next("worker")
    assert (row().status, row().error_code, row().error_message) == (
        Status.FAILED,
        "SERVER_ERROR",
        "it said SERVER_ERROR",
    )
    assert states() == ["released"] * 3
    assert booked() == 0


def test_an_invalid_request_is_not_retried(claimed: Claimed, provider: ScriptedProvider) -> None:
    provider.script = [refusal("INVALID_REQUEST")]
    process(claimed())
    assert (row().status, states()) == (Status.FAILED, ["released"])


def test_the_fallback_models_answer_is_booked(
    claimed: Claimed, provider: ScriptedProvider, organization: Organization
) -> None:
    FallbackRoute.objects.create(
        organization=organization,
        provider="deepseek",
        model="deepseek-chat",
        position=1,
        to_provider="openai",
        to_model="gpt-3.5-turbo",
    )
    provider.script = [refusal("SERVER_ERROR"), answer()]
    process(claimed(max_retries=0))
    again = claim_next("worker")
    assert again
    process(again)
    assert list(Attempt.objects.order_by("number").values_list("provider", "state")) == [
        ("deepseek", "released"),
        ("openai", "settled"),
    ]
    assert (row().status, row().provider, booked()) == (Status.COMPLETED, "deepseek", 20 * 500 + 10 * 1500)


def test_a_fallback_model_without_a_price_fails_the_request(
    claimed: Claimed, provider: ScriptedProvider, organization: Organization
) -> None:
    FallbackRoute.objects.create(
        organization=organization,
        provider="deepseek",
        model="deepseek-chat",
        position=1,
        to_provider="openai",
        to_model="gpt-nonsense",
    )
    provider.script = [refusal("SERVER_ERROR")]
    process(claimed(max_retries=0))
    assert (row().status, row().error_code, row().attempt_number, states()) == (
        Status.FAILED,
        "SERVER_ERROR",
        1,
        ["released"],
    )


@pytest.mark.parametrize(
    ("reserved", "code", "reason"),
    [
        (0, outcomes.BUDGET_EXCEEDED, "The daily budget"),
        (10**9, outcomes.BUDGET_BUSY, "Calls in progress hold the rest of the daily budget"),
    ],
    ids=["exceeded", "busy"],
)
def test_a_retry_without_budget_ends_the_request_with_both_reasons(
    claimed: Claimed, provider: ScriptedProvider, organization: Organization, reserved: int, code: str, reason: str
) -> None:
    claim = claimed()
    Budget.objects.create(organization=organization, period="daily", limit_nano=reserved, enforcement="block")
    windows_now(organization.pk)
    BudgetWindow.objects.update(reserved_nano=reserved)
    provider.script = [refusal("SERVER_ERROR")]
    process(claim)
    assert (row().status, row().error_code, row().attempt_number) == (Status.FAILED, code, 1)
    assert row().error_message.startswith(f"it said SERVER_ERROR. Not retried: {reason}")
    assert (states(), index.state().size) == (["released"], 0)
