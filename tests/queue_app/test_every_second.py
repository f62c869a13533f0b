"""Each second, one statement finds what is due, and only that runs."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from aiinfra.redis import redis_client
from queue_app.models import AIRequest, QueueTotal, Status
from queue_app.ordering import index
from queue_app.ordering.claims import Claim
from queue_app.repair import every_second
from queue_app.repair.every_second import EverySecond, look
from queue_app.repair.index_repair import IndexRepair

Submit = Callable[..., AIRequest]
pytestmark = pytest.mark.usefixtures("queue", "scoped")


@pytest.fixture
def duties() -> EverySecond:
    """After the first run, which fills an empty Redis."""
    made = EverySecond(IndexRepair())
    made.run()
    return made


def end(request: AIRequest, **columns: object) -> None:
    AIRequest.objects.filter(id=request.id).update(
        status=Status.COMPLETED, completed_at=timezone.now() - timedelta(minutes=1), **columns
    )


def test_idle_second_takes_one_statement(
    duties: EverySecond, submit: Submit, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    submit()
    with django_assert_num_queries(1):
        duties.run()


def test_expired_lease_is_recovered(duties: EverySecond, claimed: Callable[..., Claim]) -> None:
    request = claimed().request
    duties.run()
    assert AIRequest.objects.get(id=request.id).status == Status.PROCESSING
    AIRequest.objects.filter(id=request.id).update(lease_until=timezone.now() - timedelta(seconds=1))
    duties.run()
    assert AIRequest.objects.get(id=request.id).status == Status.PENDING


def test_ended_requests_are_counted(duties: EverySecond, submit: Submit) -> None:
    end(submit())
    duties.run()
    assert QueueTotal.objects.get().completed == 1
    assert not look().has_uncounted


def test_unreleased_flight_ends(duties: EverySecond, submit: Submit) -> None:
    request = submit()
    end(request, flight="question")
    duties.run()
    assert AIRequest.objects.get(id=request.id).flight is None
    assert not look().may_have_orphans


def test_empty_redis_is_refilled_immediately(duties: EverySecond, submit: Submit) -> None:
    submit()
    redis_client().flushall()
    duties.run()
    assert index.state().size == 1


def test_request_missing_from_redis_is_added(duties: EverySecond, submit: Submit) -> None:
    index.remove(submit())
    duties.run()
    duties.run()
    assert index.state().size == 1


def test_failing_duty_does_not_stop_the_others(
    duties: EverySecond, submit: Submit, monkeypatch: pytest.MonkeyPatch
) -> None:
    end(submit(), flight="question")

    def fail() -> None:
        raise ValueError

    monkeypatch.setattr(every_second, "count_ended", fail)
    duties.run()
    assert not look().may_have_orphans
