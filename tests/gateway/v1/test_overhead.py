"""`x-aiinfra-overhead-ms`: the time a client spent waiting for aiinfra rather than for the provider."""

from datetime import timedelta

from django.utils import timezone

from aiinfra import epochs
from aiinfra.gateway.v1.call_headers import overhead_of
from cost_app.models import Attempt
from queue_app.facade import AIRequest, RequestStatus, Status

HOUR_S = 3600


def overhead_s(*calls: tuple[float, float]) -> float:
    """The overhead of a request from two hours ago, whose calls began and ended the given hours ago."""
    now = timezone.now()
    attempts = [
        Attempt(dispatched_at=now - timedelta(hours=begin), finished_at=now - timedelta(hours=end))
        for begin, end in calls
    ]
    request = AIRequest(status=Status.COMPLETED, created_at=now, completed_at=now, cached=not calls)
    with epochs.request():
        running = epochs.current_request()
        assert running is not None
        running.began -= 2 * HOUR_S
        return int(overhead_of(RequestStatus(request, attempts))["x-aiinfra-overhead-ms"]) / 1000


def test_overhead_counts_from_the_arrival_of_the_call() -> None:
    assert overhead_s() >= 2 * HOUR_S


def test_provider_calls_do_not_count() -> None:
    assert HOUR_S <= overhead_s((1.5, 0.5)) < 2 * HOUR_S


def test_calls_before_an_idempotent_repeat_are_not_subtracted() -> None:
    assert overhead_s((5, 3)) >= 2 * HOUR_S
