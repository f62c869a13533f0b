"""How processing ends. Failed calls are in test_retries.py, late workers in test_latecomers.py."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from aiinfra.providers.base import ChatAnswer, TokenUsage
from aiinfra.tenants.authorization import Role
from aiinfra.tenants.keys import create_key
from aiinfra.tenants.models import Organization
from cache_app.facade import CacheKey
from cache_app.store import entries
from cost_app.models import Attempt, AttemptState, LedgerEntry
from queue_app import control
from queue_app.models import AIRequest, RequestContent, Status
from queue_app.ordering import index
from queue_app.ordering.claims import Claim, claim_next
from queue_app.packing import unpack
from queue_app.processing import outcomes
from queue_app.processing.provider_call import process
from queue_app.queries import status_of
from tests.queue_app.conftest import USAGE, ScriptedProvider, answer, refusal
from tests.queue_app.outcomes import COST, Claimed, booked, delay_ends, lease_expires, recover, row, sent, states

pytestmark = pytest.mark.usefixtures("scoped")


def test_an_answer_ends_the_request_and_books_its_cost(claimed: Claimed, provider: ScriptedProvider) -> None:
    process(claimed())
    assert (row().status, row().lease_until, states(), booked()) == (Status.COMPLETED, None, ["settled"], COST)
    response = unpack(RequestContent.objects.get().response or b"")
    assert response == {"role": "assistant", "content": "Hello.", "finishReason": "stop"}
    assert index.state().size == 0
    (attempt, call) = provider.calls[0]
    assert (attempt.id, call.max_tokens, call.timeout_s) == (Attempt.objects.get().id, 4096, 30)


def test_timely_answer_skips_the_successor_check(
    claimed: Claimed, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This saves a statement for every successful request."""
    monkeypatch.setattr(outcomes, "_has_successor", lambda _claim: pytest.fail("checked for a successor"))
    process(claimed())
    assert (row().status, index.state().size) == (Status.COMPLETED, 0)


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


def test_each_timeout_books_its_own_bound(claimed: Claimed, provider: ScriptedProvider) -> None:
    provider.script = [refusal("TIMEOUT", may_be_billed=True), answer()]
    process(claimed())
    delay_ends()
    again = claim_next("worker")
    assert again
    process(again)
    bound = Attempt.objects.get(number=1).bound_nano
    assert (states(), booked()) == (["estimated", "settled"], bound + COST)


def test_usage_reported_with_an_error_is_booked(claimed: Claimed, provider: ScriptedProvider) -> None:
    error = refusal("CONTENT_FILTERED")
    error.usage = TokenUsage(input=20, output=10)
    provider.script = [error]
    process(claimed())
    assert (row().status, states(), booked()) == (Status.FAILED, ["settled"], COST)


def test_completing_twice_has_no_further_effect(claimed: Claimed) -> None:
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
    assert (row().status, index.state().size) == (Status.CANCELLED, 0)


@pytest.mark.parametrize(
    ("crash_point", "outcome"),
    [
        ("pack", lambda claim, attempt: outcomes.complete(claim, attempt, answer())),
        ("_plan", lambda claim, attempt: outcomes.fail_attempt(claim, attempt, refusal("SERVER_ERROR"))),
        ("attempt_order", lambda claim, attempt: outcomes.fail_attempt(claim, attempt, refusal("SERVER_ERROR"))),
        ("_start_over_or_fail", lambda _claim, _attempt: (lease_expires(), recover())),
    ],
    ids=["complete", "fail", "fail while planning the retry", "recover"],
)
def test_an_outcome_is_one_transaction(
    claimed: Claimed,
    monkeypatch: pytest.MonkeyPatch,
    crash_point: str,
    outcome: Callable[[Claim, Attempt], object],
) -> None:
    claim = claimed()
    attempt = sent(claim)

    def crash(*_: object, **__: object) -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as patched, pytest.raises(RuntimeError):
        patched.setattr(outcomes, crash_point, crash)
        outcome(claim, attempt)
    assert (row().status, row().crashes, row().attempt_number) == (Status.PROCESSING, 0, 1)
    assert (states(), booked()) == (["dispatched"], 0)


@pytest.mark.parametrize("passed", [timedelta(seconds=2), -timedelta(minutes=1)], ids=["forward", "backward"])
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


@pytest.mark.parametrize(
    ("metadata", "origin"), [({"purpose": "warm"}, "warmed"), ({"purpose": "chat"}, "fetched"), ({}, "fetched")]
)
def test_the_cached_answer_names_who_asked_for_it(
    claimed: Claimed, provider: ScriptedProvider, metadata: dict[str, str], origin: str
) -> None:
    organization = Organization.objects.get()
    key, _ = create_key(organization=organization, name="bot", role=Role.OPERATOR, actor="command:test")
    claim = claimed(metadata=metadata, tags=["red"], user_ref="ann", api_key_id=key.pk)
    process(claim)
    entry = entries.fetch_one(claim.request.organization_id, CacheKey.unpacked(claim.call["cache"]).entry_id)
    assert entry and (entry.origin, entry.tags, entry.usage) == (origin, ("red",), USAGE)
    assert (entry.user_ref, entry.api_key_id) == ("ann", key.pk)


def test_an_answer_without_usage_is_cached_with_our_count(claimed: Claimed, provider: ScriptedProvider) -> None:
    provider.script = [answer(usage=None)]
    claim = claimed()
    process(claim)
    entry = entries.fetch_one(claim.request.organization_id, CacheKey.unpacked(claim.call["cache"]).entry_id)
    assert entry and entry.usage == LedgerEntry.objects.get().usage


def test_tool_calls_are_part_of_the_answer(claimed: Claimed, provider: ScriptedProvider) -> None:
    calls = [{"id": "1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}]
    provider.script = [replace(answer(), tool_calls=calls)]
    process(claimed())
    assert unpack(RequestContent.objects.get().response or b"")["toolCalls"] == calls


@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite lets one transaction write at a time")
@pytest.mark.parametrize("outcome", ["complete", "fail", "recover", "cancel"])
def test_every_outcome_locks_the_request_before_the_attempt(claimed: Claimed, outcome: str) -> None:
    """Transactions that lock the same rows in different orders deadlock, and PostgreSQL cancels one of them."""
    claim = claimed()
    attempt = sent(claim) if outcome == "complete" else Attempt.objects.get()
    lease_expires()
    with CaptureQueriesContext(connection) as queries:
        match outcome:
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
