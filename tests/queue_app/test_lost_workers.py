"""Requests whose worker was lost."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from aiinfra.providers.base import ProviderError
from cost_app.models import Attempt
from queue_app.models import Status
from queue_app.ordering.claims import Claim, claim_next
from queue_app.processing import outcomes
from queue_app.processing.provider_call import process
from queue_app.processing.retry_policy import NextAttempt
from tests.queue_app.conftest import ScriptedProvider, refusal
from tests.queue_app.outcomes import Claimed, booked, delay_ends, lease_expires, recover, row, sent, states

pytestmark = pytest.mark.usefixtures("scoped")


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


@pytest.mark.usefixtures("no_fallback")
def test_lost_workers_and_open_circuits_are_not_failed_calls(claimed: Claimed, monkeypatch: pytest.MonkeyPatch) -> None:
    claimed()
    lease_expires()
    recover()
    seen: list[dict[str, object]] = []
    plan = outcomes.next_attempt

    def recording_next_attempt(error: ProviderError, **known: Any) -> NextAttempt | None:
        seen.append(known)
        return plan(error, **known)

    monkeypatch.setattr(outcomes, "next_attempt", recording_next_attempt)
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
