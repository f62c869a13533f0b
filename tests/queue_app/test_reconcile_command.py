"""`manage.py reconcile` reports discrepancies and changes nothing."""

from collections.abc import Callable
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from aiinfra.tenants.models import Organization
from cost_app.models import Attempt, AttemptState
from queue_app.models import AIRequest, Status
from queue_app.ordering.claims import Claim
from queue_app.processing.provider_call import process
from tests.queue_app.conftest import ScriptedProvider

LONG_AGO = timedelta(minutes=5)


def output_of_reconcile() -> str:
    output = StringIO()
    call_command("reconcile", stdout=output)
    return output.getvalue()


def test_reconcile_finds_nothing_after_normal_work(claimed: Callable[..., Claim], provider: ScriptedProvider) -> None:
    process(claimed())
    assert provider.calls
    call_command("reconcile", "--strict", stdout=StringIO())
    assert "no discrepancies" in output_of_reconcile()


def test_a_cost_without_a_ledger_entry_is_reported(claimed: Callable[..., Claim], scoped: Organization) -> None:
    attempt = Attempt.objects.get(request_id=claimed().request.id)
    Attempt.objects.filter(id=attempt.id).update(cost_nano=7)
    assert str(attempt.id) in output_of_reconcile()


def test_a_call_without_a_booked_outcome_is_reported(claimed: Callable[..., Claim], scoped: Organization) -> None:
    attempt = Attempt.objects.get(request_id=claimed().request.id)
    long_ago = timezone.now() - LONG_AGO
    Attempt.objects.filter(id=attempt.id).update(state=AttemptState.DISPATCHED, deadline_at=long_ago)
    assert str(attempt.id) in output_of_reconcile()


def test_a_request_of_a_lost_worker_is_reported(claimed: Callable[..., Claim], scoped: Organization) -> None:
    request = claimed().request
    AIRequest.objects.filter(id=request.id).update(lease_until=timezone.now() - LONG_AGO)
    assert str(request.id) in output_of_reconcile()


def test_a_hold_of_an_ended_request_is_reported(submit: Callable[..., AIRequest], scoped: Organization) -> None:
    request = submit()
    AIRequest.objects.filter(id=request.id).update(status=Status.FAILED, completed_at=timezone.now())
    assert str(request.id) in output_of_reconcile()


def test_strict_fails_on_any_finding(submit: Callable[..., AIRequest], scoped: Organization) -> None:
    request = submit()
    AIRequest.objects.filter(id=request.id).update(status=Status.FAILED, completed_at=timezone.now())
    with pytest.raises(CommandError, match="1 disagreement"):
        call_command("reconcile", "--strict", stdout=StringIO())
