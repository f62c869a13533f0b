"""Each second one statement tells what there is to do, and only that is done."""

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
    """After the first look, which fills an empty Redis."""
    made = EverySecond(IndexRepair())
    made.run()
    return made


def end(request: AIRequest, **columns: object) -> None:
    AIRequest.objects.filter(id=request.id).update(
        status=Status.COMPLETED, completed_at=timezone.now() - timedelta(minutes=1), **columns
    )


def test_a_second_without_work_takes_one_statement(
    duties: EverySecond, submit: Submit, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    submit()
    with django_assert_num_queries(1):
        duties.run()


def test_an_expired_lease_is_recovered(duties: EverySecond, claimed: Callable[..., Claim]) -> None:
    request = claimed().request
    duties.run()
    assert AIRequest.objects.get(id=request.id).status == Status.PROCESSING
    AIRequest.objects.filter(id=request.id).update(lease_until=timezone.now() - timedelta(seconds=1))
    duties.run()
    assert AIRequest.objects.get(id=request.id).status == Status.PENDING


def test_what_has_ended_is_counted(duties: EverySecond, submit: Submit) -> None:
    end(submit())
    duties.run()
    assert QueueTotal.objects.get().completed == 1
    assert not look().has_uncounted


def test_a_flight_that_no_one_released_ends(duties: EverySecond, submit: Submit) -> None:
    request = submit()
    end(request, flight="question")
    duties.run()
    assert AIRequest.objects.get(id=request.id).flight is None
    assert not look().may_have_orphans


def test_an_emptied_redis_is_filled_at_once(duties: EverySecond, submit: Submit) -> None:
    submit()
    redis_client().flushall()
    duties.run()
    assert index.state().size == 1


def test_a_request_that_redis_does_not_have_is_added(duties: EverySecond, submit: Submit) -> None:
    index.remove(submit())
    duties.run()
    duties.run()
    assert index.state().size == 1


def test_a_duty_that_fails_does_not_stop_the_others(
    duties: EverySecond, submit: Submit, monkeypatch: pytest.MonkeyPatch
) -> None:
    end(submit(), flight="question")

    def fail() -> None:
        raise ValueError

    monkeypatch.setattr(every_second, "count_ended", fail)
    duties.run()
    assert not look().may_have_orphans
