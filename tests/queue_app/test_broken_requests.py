"""Defects of single requests; outages of the database and Redis are tested elsewhere."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import DataError
from django.utils import timezone

from aiinfra.providers import breaker
from aiinfra.providers.base import ErrorCode, ProviderError
from aiinfra.providers.breaker import CircuitState
from aiinfra.providers.registry import ProviderNotConfiguredError
from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import system_scope
from cost_app.models import Attempt, AttemptState, LedgerEntry
from queue_app.models import AIRequest, QueuePolicy, RequestContent, Status
from queue_app.ordering import index
from queue_app.ordering.claims import Claim
from queue_app.processing import outcomes, provider_call
from queue_app.processing.provider_call import process
from queue_app.repair import index_repair
from queue_app.repair.index_repair import recover_expired_leases
from tests.queue_app.conftest import USAGE, ScriptedProvider, answer, refusal

Claimed = Callable[..., Claim]
COST = 20 * 140 + 10 * 280
pytestmark = pytest.mark.usefixtures("scoped", "no_fallback")


def ended() -> tuple[str, str, int]:
    """Status, error code, and crashes of the only request. Checks that nothing is left in the index or reserved."""
    request = AIRequest.objects.get()
    assert index.state().size == 0
    assert not Attempt.objects.filter(state__in=["reserved", "dispatched"]).exists()
    return request.status, request.error_code, request.crashes


def booked() -> int:
    return sum(LedgerEntry.objects.values_list("nano", flat=True))


def reject_text(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Reject writes that contain this text, as PostgreSQL rejects NUL characters."""
    end, pack = outcomes._end, outcomes.pack

    def guarded_end(*arguments: object) -> bool:
        if any(text in str(each) for each in arguments[3:]):
            raise DataError("invalid byte sequence")
        return end(*arguments)  # type: ignore[arg-type]

    def guarded_pack(value: object) -> bytes:
        if text in str(value):
            raise DataError("invalid byte sequence")
        return pack(value)

    monkeypatch.setattr(outcomes, "_end", guarded_end)
    monkeypatch.setattr(outcomes, "pack", guarded_pack)


def test_a_crashing_call_fails_the_request_and_books_its_bound(claimed: Claimed, provider: ScriptedProvider) -> None:
    provider.script = [ZeroDivisionError("a defect")]
    process(claimed())
    assert ended() == (Status.FAILED, "INTERNAL_ERROR", 0)
    assert len(provider.calls) == 1
    assert booked() == Attempt.objects.get().bound_nano


def test_an_answer_that_cannot_be_stored_fails_the_request_and_keeps_its_cost(
    claimed: Claimed, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    reject_text(monkeypatch, "cursed")
    provider.script = [answer("cursed")]
    process(claimed())
    assert ended() == (Status.FAILED, "INTERNAL_ERROR", 0)
    assert (booked(), len(provider.calls)) == (COST, 1)


@pytest.mark.parametrize(
    ("error", "cost"),
    [
        (ProviderError(ErrorCode.INVALID_REQUEST, "cursed", may_be_billed=False), 0),
        (ProviderError(ErrorCode.CONTENT_FILTERED, "cursed", may_be_billed=True, usage=USAGE), COST),
    ],
)
def test_an_unstorable_error_books_only_its_cost(
    claimed: Claimed, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch, error: ProviderError, cost: int
) -> None:
    reject_text(monkeypatch, "cursed")
    provider.script = [error]
    process(claimed())
    assert ended() == (Status.FAILED, "INTERNAL_ERROR", 0)
    assert booked() == cost


def test_a_failure_before_the_call_costs_nothing(
    claimed: Claimed, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(breaker, "allow", lambda *_: 1 / 0)
    process(claimed())
    assert ended() == (Status.FAILED, "INTERNAL_ERROR", 0)
    assert (booked(), provider.calls) == (0, [])


def test_a_request_without_an_attempt_ends(claimed: Claimed, provider: ScriptedProvider) -> None:
    claim = claimed()
    Attempt.objects.all().delete()
    process(claim)
    assert ended() == (Status.FAILED, "INTERNAL_ERROR", 0)


def test_a_provider_that_is_no_longer_configured_is_not_called(
    claimed: Claimed, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(name: str) -> None:
        raise ProviderNotConfiguredError(name)

    monkeypatch.setattr(provider_call, "close_old_connections", lambda: None)
    monkeypatch.setattr(provider_call, "adapter_for", unknown)
    process(claimed())
    assert ended() == (Status.FAILED, "MODEL_NOT_FOUND", 0)
    assert booked() == 0


def test_followers_of_a_broken_request_are_released(
    submit: Callable[..., AIRequest], claimed: Claimed, provider: ScriptedProvider
) -> None:
    claim = claimed()
    follower = submit(user_ref="follower")
    cancelled = Attempt.objects.filter(request_id=follower.id)
    cancelled.delete()
    AIRequest.objects.filter(id=follower.id).update(leader_id=claim.request.id)
    provider.script = [ZeroDivisionError("a defect")]
    process(claim)
    assert AIRequest.objects.get(id=follower.id).leader_id is None
    assert Attempt.objects.get(request_id=follower.id).state == AttemptState.RESERVED


def lease_expires() -> None:
    AIRequest.objects.update(lease_until=timezone.now() - timedelta(seconds=1))


@pytest.mark.parametrize("spoil", ["unreadable", "gone"])
def test_a_lost_request_with_unreadable_content_fails_without_blocking_others(
    submit: Callable[..., AIRequest], claimed: Claimed, monkeypatch: pytest.MonkeyPatch, spoil: str
) -> None:
    monkeypatch.setattr(index_repair, "BATCH", 1)
    bad, good = claimed(), claimed()
    lease_expires()
    AIRequest.objects.filter(id=bad.request.id).update(lease_until=timezone.now() - timedelta(hours=1))
    contents = RequestContent.objects.filter(request_id=bad.request.id)
    contents.delete() if spoil == "gone" else contents.update(call=b"?")
    for _ in range(2):
        recover_expired_leases()
    rows = {row.id: row for row in AIRequest.objects.all()}
    assert (rows[bad.request.id].status, rows[bad.request.id].error_code) == (Status.FAILED, "INTERNAL_ERROR")
    assert (rows[good.request.id].status, rows[good.request.id].crashes) == (Status.PENDING, 1)


def test_an_invalid_policy_does_not_block_others(
    queue: None, organization: Organization, other_organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    with system_scope():
        for each in (organization, other_organization):
            QueuePolicy.objects.create(organization=each, weight=7)
        entered: list[int] = []

        def set_policy(policy: QueuePolicy) -> None:
            entered.append(policy.organization_id)
            raise ValueError

        monkeypatch.setattr(index, "set_policy", set_policy)
        index_repair.restore_policies()
    assert sorted(entered) == sorted([organization.pk, other_organization.pk])


@pytest.mark.parametrize(("timeout_ms", "opens"), [(1_000, False), (30_000, True)])
def test_short_caller_timeouts_do_not_open_the_circuit(
    claimed: Claimed, provider: ScriptedProvider, timeout_ms: int, opens: bool
) -> None:
    provider.script = [refusal("TIMEOUT", may_be_billed=True)]
    for _ in range(6):
        process(claimed(timeout_ms=timeout_ms, max_retries=0))
    open_circuits = [each for each in breaker.states() if each.state is not CircuitState.CLOSED]
    assert bool(open_circuits) is opens


def test_invalid_requests_of_one_organization_do_not_open_the_circuit(
    claimed: Claimed, provider: ScriptedProvider
) -> None:
    provider.script = [refusal("UNREADABLE_ANSWER", may_be_billed=True)]
    for _ in range(6):
        process(claimed(max_retries=0))
    assert [each for each in breaker.states() if each.state is not CircuitState.CLOSED] == []


def test_failures_of_one_organization_do_not_block_another(
    claimed: Claimed, provider: ScriptedProvider, other_organization: Organization
) -> None:
    breaker.record_success("deepseek", "deepseek-chat", other_organization.pk)
    provider.script = [refusal("SERVER_ERROR")]
    for _ in range(6):
        process(claimed(max_retries=0))
    assert len(provider.calls) == 6
    assert breaker.allow("deepseek", "deepseek-chat", other_organization.pk).allowed
