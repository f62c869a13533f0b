"""The ways out of processing: answered, failed, tried again, lost, given back; test_latecomers.py has the late ones."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from aiinfra.providers.base import ChatAnswer, ProviderError, TokenUsage
from aiinfra.providers.models import FallbackOptOut, FallbackRoute
from aiinfra.redis import redis_client
from aiinfra.tenants.models import Organization
from cache_app.facade import CacheKey
from cache_app.store import entries
from cost_app.budgets.windows import windows_now
from cost_app.ledger import attempts
from cost_app.models import Attempt, AttemptState, Budget, BudgetWindow, LedgerEntry
from queue_app import control
from queue_app.models import AIRequest, RequestContent, Status
from queue_app.ordering import index
from queue_app.ordering.claims import Claim, claim_next
from queue_app.packing import unpack
from queue_app.processing import outcomes
from queue_app.processing.provider_call import process
from queue_app.processing.retry_policy import NextAttempt
from queue_app.queries import status_of
from tests.queue_app.conftest import ScriptedProvider, answer, refusal

Claimed = Callable[..., Claim]
pytestmark = pytest.mark.usefixtures("scoped")
COST = 20 * 140 + 10 * 280


def row() -> AIRequest:
    return AIRequest.objects.get()


def states() -> list[str]:
    return list(Attempt.objects.order_by("number").values_list("state", flat=True))


def booked() -> int:
    return sum(LedgerEntry.objects.values_list("nano", flat=True))


def sent(claim: Claim) -> Attempt:
    attempt = attempts.current_attempt(claim.request.id, claim.attempt_number)
    assert attempts.dispatch(attempt, claim.timeout)
    return attempt


def lease_expires() -> None:
    AIRequest.objects.update(lease_until=timezone.now() - timedelta(seconds=1))


def recover() -> None:
    content = RequestContent.objects.select_related("request").get()
    outcomes.recover(content.request, unpack(content.call))


def delay_ends() -> None:
    AIRequest.objects.update(not_before=timezone.now())
    delayed = index.PREFIX + "delayed"
    for member in redis_client().zrange(delayed, 0, -1):
        redis_client().zadd(delayed, {member: 1})


def test_an_answer_ends_the_request_and_books_its_cost(claimed: Claimed, provider: ScriptedProvider) -> None:
    process(claimed())
    assert (row().status, row().lease_until, states(), booked()) == (Status.COMPLETED, None, ["settled"], COST)
    response = unpack(RequestContent.objects.get().response or b"")
    assert response == {"role": "assistant", "content": "Hello.", "finishReason": "stop"}
    assert index.size() == 0
    (attempt, call) = provider.calls[0]
    assert (attempt.id, call.max_tokens, call.timeout_s) == (Attempt.objects.get().id, 4096, 30)


def test_an_answer_in_time_starts_no_other_worker(
    claimed: Claimed, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One statement less for every request that goes well."""
    monkeypatch.setattr(outcomes, "_has_heir", lambda _claim: pytest.fail("asked"))
    process(claimed())
    assert (row().status, index.size()) == (Status.COMPLETED, 0)


def test_the_attempt_is_marked_as_sent_before_the_call(claimed: Claimed, provider: ScriptedProvider) -> None:
    seen: list[str] = []
    provider.script = [lambda _attempt: (seen.extend(states()), answer())[1]]
    process(claimed())
    assert seen == ["dispatched"]


def test_an_answer_without_usage_is_booked_by_our_count(claimed: Claimed, provider: ScriptedProvider) -> None:
    provider.script = [answer(usage=None, raw_usage={"prompt_tokens": None})]
    process(claimed())
    attempt, entry = Attempt.objects.get(), LedgerEntry.objects.get()
    assert (row().status, attempt.state, attempt.error_code) == (Status.COMPLETED, AttemptState.ESTIMATED, "")
    assert (entry.estimated, entry.errors, entry.latency_ms is None) == (True, 0, False)
    assert 0 < booked() == entry.input_tokens * 140 + entry.output_tokens * 280 < attempt.bound_nano
    assert attempt.raw_usage == {"prompt_tokens": None}
    status = status_of(row(), with_content=False)
    assert (status.usage, status.is_cost_estimated) == (entry.usage, True)


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
    """The model that was asked for is the only one that is tried."""
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


def test_a_refusal_is_final(claimed: Claimed, provider: ScriptedProvider) -> None:
    provider.script = [refusal("INVALID_REQUEST")]
    process(claimed())
    assert (row().status, states()) == (Status.FAILED, ["released"])


def test_each_timeout_books_its_own_bound(claimed: Claimed, provider: ScriptedProvider) -> None:
    provider.script = [refusal("TIMEOUT", may_be_billed=True), answer()]
    process(claimed())
    delay_ends()
    again = claim_next("worker")
    assert again
    process(again)
    bound = Attempt.objects.get(number=1).bound_nano
    assert (states(), booked()) == (["estimated", "settled"], bound + COST)


def test_usage_that_comes_with_an_error_is_booked(claimed: Claimed, provider: ScriptedProvider) -> None:
    error = refusal("CONTENT_FILTERED")
    error.usage = TokenUsage(input=20, output=10)
    provider.script = [error]
    process(claimed())
    assert (row().status, states(), booked()) == (Status.FAILED, ["settled"], COST)


def test_the_next_model_of_the_chain_answers_and_is_booked(
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


def test_a_next_model_without_a_price_ends_the_request(
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


def test_a_lost_worker_is_booked_only_after_its_call_was_sent(claimed: Claimed) -> None:
    first = claimed()
    lease_expires()
    recover()
    second = claim_next("worker")
    assert second
    sent(second)
    lease_expires()
    recover()
    assert states() == ["released", "estimated", "reserved"]
    assert booked() == Attempt.objects.get(number=2).bound_nano
    assert (row().crashes, first.attempt_number, row().attempt_number) == (2, 1, 3)


def test_a_lease_is_valid_until_its_exact_end(claimed: Claimed, monkeypatch: pytest.MonkeyPatch) -> None:
    claimed()
    end = row().lease_until
    monkeypatch.setattr(timezone, "now", lambda: end)
    recover()
    assert (row().status, row().crashes) == (Status.PROCESSING, 0)
    monkeypatch.setattr(timezone, "now", lambda: end + timedelta(microseconds=1))
    recover()
    assert (row().status, row().crashes, row().lease_until) == (Status.PENDING, 1, None)
    assert row().not_before == end + timedelta(microseconds=1)


def test_a_request_that_loses_three_workers_is_quarantined(claimed: Claimed) -> None:
    claim: Claim | None = claimed()
    for _ in range(3):
        assert claim
        lease_expires()
        recover()
        claim = claim_next("worker")
    assert claim is None
    assert (row().status, row().error_code, row().crashes) == (Status.FAILED, outcomes.QUARANTINED, 3)
    assert "3 workers" in row().error_message
    assert states() == ["released"] * 3


def test_lost_workers_use_no_retries(claimed: Claimed, provider: ScriptedProvider) -> None:
    claimed(max_retries=1)
    lease_expires()
    recover()
    provider.script = [refusal("SERVER_ERROR")]
    again = claim_next("worker")
    assert again
    process(again)
    assert row().status == Status.PENDING


def test_completing_twice_is_completing_once(claimed: Claimed) -> None:
    claim = claimed()
    attempt = sent(claim)
    assert [outcomes.complete(claim, attempt, answer()) for _ in range(2)] == [True, False]
    assert (booked(), LedgerEntry.objects.count()) == (COST, 1)


def test_a_returned_request_keeps_its_position_and_attempt(claimed: Claimed, submit: Callable[..., AIRequest]) -> None:
    claim = claimed()
    submit()
    outcomes.give_back(claim)
    assert AIRequest.objects.get(id=claim.request.id).lease_until is None
    again = claim_next("worker")
    assert again and (again.request.id, again.attempt_number) == (claim.request.id, 1)
    assert Attempt.objects.filter(request_id=claim.request.id).count() == 1


def test_returning_a_cancelled_request_leaves_no_index_entry(claimed: Claimed) -> None:
    claim = claimed()
    control.cancel(row(), actor="user:x")
    outcomes.give_back(claim)
    assert (row().status, index.size()) == (Status.CANCELLED, 0)


@pytest.mark.parametrize(
    ("dies_in", "way_out"),
    [
        ("pack", lambda claim, attempt: outcomes.complete(claim, attempt, answer())),
        ("_plan", lambda claim, attempt: outcomes.fail_attempt(claim, attempt, refusal("SERVER_ERROR"))),
        ("attempt_order", lambda claim, attempt: outcomes.fail_attempt(claim, attempt, refusal("SERVER_ERROR"))),
        ("_start_over_or_fail", lambda _claim, _attempt: (lease_expires(), recover())),
    ],
    ids=["complete", "fail", "fail later", "recover"],
)
def test_an_outcome_is_one_transaction(
    claimed: Claimed,
    monkeypatch: pytest.MonkeyPatch,
    dies_in: str,
    way_out: Callable[[Claim, Attempt], object],
) -> None:
    claim = claimed()
    attempt = sent(claim)

    def die(*_: object, **__: object) -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as patched, pytest.raises(RuntimeError):
        patched.setattr(outcomes, dies_in, die)
        way_out(claim, attempt)
    assert (row().status, row().crashes, row().attempt_number) == (Status.PROCESSING, 0, 1)
    assert (states(), booked()) == (["dispatched"], 0)


@pytest.mark.parametrize("passed", [timedelta(seconds=2), -timedelta(minutes=1)], ids=["forward", "set back"])
def test_the_cached_latency_is_valid_for_any_clock(
    claimed: Claimed, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch, passed: timedelta
) -> None:
    claim, moment = claimed(), timezone.now()
    monkeypatch.setattr(timezone, "now", lambda: moment)

    def take_time(_attempt: object) -> ChatAnswer:
        monkeypatch.setattr(timezone, "now", lambda: moment + passed)
        return answer()

    provider.script = [take_time]
    process(claim)
    entry = entries.fetch_one(claim.request.organization_id, CacheKey.unpacked(claim.call["cache"]).entry_id)
    took_ms = max(0, passed // timedelta(milliseconds=1))
    assert entry and (entry.latency_ms, LedgerEntry.objects.get().latency_ms) == (took_ms, took_ms)
    assert (entry.provider, entry.model, entry.request_id) == ("deepseek", "deepseek-chat", str(claim.request.id))


def test_tool_calls_are_part_of_the_answer(claimed: Claimed, provider: ScriptedProvider) -> None:
    calls = [{"id": "1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}]
    provider.script = [replace(answer(), tool_calls=calls)]
    process(claimed())
    assert unpack(RequestContent.objects.get().response or b"")["toolCalls"] == calls


@pytest.mark.usefixtures("no_fallback")
def test_lost_workers_and_open_circuits_are_not_failed_calls(claimed: Claimed, monkeypatch: pytest.MonkeyPatch) -> None:
    claimed()
    lease_expires()
    recover()
    seen: list[dict[str, object]] = []
    plan = outcomes.next_attempt

    def watched(error: ProviderError, **known: Any) -> NextAttempt | None:
        seen.append(known)
        return plan(error, **known)

    monkeypatch.setattr(outcomes, "next_attempt", watched)
    model = ("deepseek", "deepseek-chat")
    for code in ("CIRCUIT_OPEN", "SERVER_ERROR", "CIRCUIT_OPEN"):
        delay_ends()
        claim = claim_next("worker")
        assert claim
        outcomes.fail_attempt(claim, sent(claim), refusal(code))
    assert [(known["waited"], known["tried"]) for known in seen] == [(1, []), (1, [model]), (2, [model])]
    assert {(known["current"], tuple(known["chain"]), known["max_retries"]) for known in seen} == {  # type: ignore[arg-type]
        (model, (model,), 3)
    }


@pytest.mark.parametrize(("reserved", "code"), [(0, outcomes.BUDGET_EXCEEDED), (10**9, outcomes.BUDGET_BUSY)])
def test_a_retry_without_budget_ends_the_request_with_both_reasons(
    claimed: Claimed, provider: ScriptedProvider, organization: Organization, reserved: int, code: str
) -> None:
    claim = claimed()
    Budget.objects.create(organization=organization, period="daily", limit_nano=reserved, enforcement="block")
    windows_now(organization.pk)
    BudgetWindow.objects.update(reserved_nano=reserved)
    provider.script = [refusal("SERVER_ERROR")]
    process(claim)
    assert (row().status, row().error_code, row().attempt_number) == (Status.FAILED, code, 1)
    assert row().error_message.startswith("it said SERVER_ERROR. Not retried: The daily")
    assert (states(), index.size()) == (["released"], 0)


@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite lets one transaction write at a time")
@pytest.mark.parametrize("way_out", ["complete", "fail", "recover", "cancel"])
def test_every_outcome_locks_the_request_before_the_attempt(claimed: Claimed, way_out: str) -> None:
    """Two that lock the same rows in different orders wait for each other; PostgreSQL then kills one of them."""
    claim = claimed()
    attempt = sent(claim) if way_out == "complete" else Attempt.objects.get()
    lease_expires()
    with CaptureQueriesContext(connection) as queries:
        match way_out:
            case "complete":
                outcomes.complete(claim, attempt, answer())
            case "fail":
                outcomes.fail_attempt(claim, attempt, refusal("CIRCUIT_OPEN"))
            case "recover":
                recover()
            case "cancel":
                control.cancel(row(), actor="user:x")
    locking = [query["sql"] for query in queries if query["sql"].startswith("UPDATE") or "FOR UPDATE" in query["sql"]]
    tables = ["airequest" if "queue_app_airequest" in sql else "attempt" for sql in locking if "content" not in sql]
    assert tables[0] == "airequest"
    assert "attempt" in tables


def test_the_requested_service_tier_reaches_the_provider(claimed: Claimed, provider: ScriptedProvider) -> None:
    process(claimed(service_tier="flex"))
    process(claimed())
    assert [call.service_tier for _, call in provider.calls] == ["flex", None]
