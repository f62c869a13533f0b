"""Queued requests whose clients wait for a stream: a claim hands them to the process that holds the connection."""

from collections.abc import Callable

import pytest
from pytest_django.fixtures import Settings

from aiinfra.providers import breaker
from aiinfra.redis import redis_client
from aiinfra.tenants.models import Organization
from cost_app.models import Attempt, LedgerEntry
from queue_app import control
from queue_app.models import AIRequest, Status
from queue_app.ordering import index, standby
from queue_app.ordering.claims import claim_next
from queue_app.processing import direct, turn
from queue_app.processing.direct import DirectCall
from queue_app.processing.turn import Turn
from queue_app.repair.index_repair import drop_orphaned_claims
from queue_app.submission.intake import accept
from queue_app.submission.submission import Submission
from tests.queue_app.conftest import ScriptedProvider
from tests.queue_app.direct_calls import index_is_empty, row

pytestmark = pytest.mark.usefixtures("queue", "scoped")
Wait = Callable[[], tuple[AIRequest, Turn]]


@pytest.fixture
def wait(organization: Organization, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Wait:
    """Accepts a request that must queue, and waiting_keys for its turn. The wait outlasts the test."""
    settings.QUEUE_LEASE_S = 600
    monkeypatch.setattr(direct, "try_start", lambda _request: (None, False))

    def make() -> tuple[AIRequest, Turn]:
        asked = [{"role": "user", "content": "Hi"}]
        submission = Submission(organization.pk, "deepseek", "deepseek-chat", asked)
        request = accept(submission, starter=DirectCall(awaits_turn=True))
        return request, Turn(request)

    return make


def waiting_keys() -> list[str]:
    """The Redis keys of clients that wait for their turn."""
    return list(redis_client().scan_iter("{aiq}:turn:*"))


def test_claim_hands_over_the_awaited_request_and_takes_the_next_one(
    wait: Wait, submit: Callable[..., AIRequest], provider: ScriptedProvider
) -> None:
    request, mine = wait()
    other = submit()
    assert not mine.has_come(is_news=True)
    assert claim_next("worker").request == other  # type: ignore[union-attr]
    assert list(redis_client().hgetall("{aiq}:inflight").values()) == ["2"]
    assert row(request).status == Status.PENDING
    assert mine.has_come(is_news=True)
    call = mine.start()
    assert call is not None
    assert (row(request).status, row(request).is_direct) == (Status.PROCESSING, True)
    assert Attempt.objects.get(request_id=request.id).state == "dispatched"
    assert not provider.calls
    assert call.run().status == Status.COMPLETED
    assert LedgerEntry.objects.count() == len(provider.calls) == 1
    assert waiting_keys() == []


@pytest.mark.parametrize("is_work_ready", [True, False])
def test_end_of_the_call_wakes_a_worker_if_work_is_ready(
    wait: Wait, submit: Callable[..., AIRequest], provider: ScriptedProvider, is_work_ready: bool
) -> None:
    _, mine = wait()
    claim_next("worker")
    call = mine.start() if mine.has_come(is_news=True) else None
    assert call is not None
    if is_work_ready:
        submit()
    redis_client().lpush(standby.STANDBY, "worker:1")
    call.run()
    assert redis_client().llen(standby.STANDBY) == (0 if is_work_ready else 1)


def test_turn_is_taken_once(wait: Wait) -> None:
    request, mine = wait()
    claim_next("worker")
    assert mine.has_come(is_news=True)
    assert not Turn(request).has_come(is_news=True)


def test_turn_is_polled_without_news_but_not_every_time(wait: Wait) -> None:
    _, mine = wait()
    assert not mine.has_come(is_news=False)
    claim_next("worker")
    assert not mine.has_come(is_news=False), "it polled just before"
    mine._look_at = 0.0
    assert mine.has_come(is_news=False)


@pytest.mark.parametrize("when", ["before", "handed over", "in hand"])
def test_request_returns_to_the_workers_when_its_client_leaves(wait: Wait, when: str) -> None:
    request, mine = wait()
    if when != "before":
        assert claim_next("worker") is None
    if when == "in hand":
        assert mine.has_come(is_news=True)
    mine.give_up()
    assert waiting_keys() == []
    claim = claim_next("worker")
    assert claim is not None
    assert claim.request == request


def test_abandoned_waits_and_turns_expire(wait: Wait, settings: Settings) -> None:
    request, _ = wait()
    [key] = waiting_keys()
    assert 0 < redis_client().pttl(key) <= settings.QUEUE_LEASE_S * 1000
    assert claim_next("worker") is None
    assert 0 < redis_client().pttl(key) <= settings.QUEUE_LEASE_S * 1000
    settings.QUEUE_LEASE_S = -1  # claims are old immediately
    drop_orphaned_claims()
    assert claim_next("worker").request == request  # type: ignore[union-attr]


def test_request_cancelled_before_its_turn_is_not_sent(wait: Wait, provider: ScriptedProvider) -> None:
    request, mine = wait()
    claim_next("worker")
    assert mine.has_come(is_news=True)
    control.cancel(request, actor="test")
    assert mine.start() is None
    assert (provider.calls, index_is_empty(), waiting_keys()) == ([], True, [])


@pytest.mark.usefixtures("no_fallback")
def test_open_circuit_makes_the_request_wait_for_another_turn(wait: Wait, provider: ScriptedProvider) -> None:
    request, mine = wait()
    for _ in range(9):
        breaker.record_failure("deepseek", "deepseek-chat")
    claim_next("worker")
    assert mine.has_come(is_news=True)
    assert mine.start() is None
    assert (row(request).status, row(request).attempt_number, provider.calls) == (Status.PENDING, 2, [])
    assert len(waiting_keys()) == 1


def test_no_turn_comes_without_redis(wait: Wait, settings: Settings) -> None:
    _, mine = wait()
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    assert not mine.has_come(is_news=True)
    mine.give_up()


def test_index_repair_recovers_the_request_after_a_database_outage(
    wait: Wait, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise turn.DATABASE_AWAY[0]

    request, mine = wait()
    claim_next("worker")
    assert mine.has_come(is_news=True)
    with monkeypatch.context() as patch:
        patch.setattr(turn, "start", fail)
        assert mine.start() is None
    settings.QUEUE_LEASE_S = -1  # claims are old immediately
    drop_orphaned_claims()
    assert index.state().size == 1
    assert claim_next("worker").request == request  # type: ignore[union-attr]
