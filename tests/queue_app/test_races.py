"""Eight real processes run concurrently on the test's own database and Redis."""

import time
from collections import Counter
from collections.abc import Callable

import pytest
from django.db.models import Sum
from django.utils import timezone

from aiinfra.redis import redis_client
from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope, system_scope
from cost_app.models import Attempt, AttemptState, LedgerEntry
from queue_app.models import AIRequest, QueueMinute, QueueTotal, RequestContent, Status
from queue_app.ordering import index, provider_limits
from queue_app.repair.index_repair import IndexRepair
from queue_app.submission.intake import accept
from queue_app.submission.submission import Submission
from tests.support.race import RunRace

RACERS = 8
Race = Callable[..., list[list[str]]]
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def race(queue: None, redis_url: str, run_race: RunRace) -> Race:
    """Runs these steps concurrently; see `run_race`."""
    return lambda *racers: run_race("tests.queue_app.racers", racers, REDIS_URL=redis_url)


def fill(organization: Organization, number: int) -> None:
    messages = [{"role": "user", "content": "Hi"}]
    with organization_scope(organization.pk):
        for _ in range(number):
            accept(Submission(organization.pk, "deepseek", "deepseek-chat", messages))


def test_an_idempotency_key_creates_one_request(race: Race, organization: Organization) -> None:
    printed = race(*[("accept", "")] * RACERS)
    assert len({ids[0] for ids in printed}) == 1
    with system_scope():
        assert (
            AIRequest.objects.count()
            == RequestContent.objects.count()
            == Attempt.objects.count()
            == index.state().size
            == 1
        )


def test_500_requests_are_claimed_once_each(race: Race, organization: Organization) -> None:
    fill(organization, 500)
    claimed = Counter(request_id for ids in race(*[("claim", "")] * RACERS) for request_id in ids)
    with system_scope():
        assert set(claimed) == {str(pk) for pk in AIRequest.objects.values_list("id", flat=True)}
        assert set(claimed.values()) == {1}
        assert AIRequest.objects.filter(status=Status.PROCESSING).count() == 500
    assert (index.ready_total(), index.state().size) == (0, 500)


def test_cancelling_races_dispatch_and_completion(race: Race, organization: Organization) -> None:
    """In every order, a request ends once, nothing is sent after its cancellation, and every sent call is booked."""
    fill(organization, 120)
    with system_scope():
        ids = ",".join(str(pk) for pk in AIRequest.objects.values_list("id", flat=True))
    *sent_by, first, second = race(*[("work", "")] * (RACERS - 2), *[("cancel", ids)] * 2)
    cancelled, sent = [*first, *second], [attempt for attempts in sent_by for attempt in attempts]
    assert len(cancelled) == len(set(cancelled)) > 0, "nothing was cancelled: there was no race"
    assert len(sent) == len(set(sent)) > 0, "nothing was sent: there was no race"
    with system_scope():
        ended = dict(AIRequest.objects.values_list("status").annotate(number=Sum("first_attempt_number")))
        assert Counter(ended) == Counter({Status.CANCELLED: len(cancelled), Status.COMPLETED: 120 - len(cancelled)})
        by_state = {state: {str(pk) for pk in ids_of(state)} for state in AttemptState}
        assert by_state[AttemptState.SETTLED] == set(sent)
        assert len(by_state[AttemptState.RELEASED]) == 120 - len(sent)
        assert LedgerEntry.objects.count() == len(sent)
        answered = RequestContent.objects.filter(response__isnull=False)
        assert set(answered.values_list("request__status", flat=True)) <= {Status.COMPLETED}
    IndexRepair().run()
    assert index.ready_total() == 0


def test_caller_that_lost_its_claim_does_not_extend_the_successors_lease(
    race: Race, organization: Organization
) -> None:
    """With a longer lease, a crash of the successor would go unnoticed until the deadline of a call that is never
    made.
    """
    fill(organization, 1)
    assert race(("dequeue", ""), ("take_over_claim", "")) == [["1"], ["2", "True"]]


def ids_of(state: AttemptState) -> list[object]:
    return list(Attempt.objects.filter(state=state).values_list("id", flat=True))


def test_concurrent_counters_count_each_request_once(race: Race, organization: Organization) -> None:
    with system_scope():
        AIRequest.objects.bulk_create(
            AIRequest(
                organization=organization,
                provider="openai",
                model="gpt-4",
                status=Status.COMPLETED,
                completed_at=timezone.now(),
            )
            for _ in range(3_000)
        )
    counted = race(*[("count", "")] * RACERS)
    assert sum(int(number) for [number] in counted) == 3_000
    with system_scope():
        for table in (QueueTotal, QueueMinute):
            assert table.objects.aggregate(number=Sum("completed"))["number"] == 3_000


def test_concurrent_workers_never_exceed_a_providers_limit(race: Race, organization: Organization) -> None:
    """Only claims that end without a call free their place."""
    fill(organization, 400)
    index.run("set_limits", ["deepseek/deepseek-chat", 40])
    window = f"{index.PREFIX}calls:deepseek/deepseek-chat"
    for _ in range(2):
        sent = [request_id for ids in race(*[("call", "")] * RACERS) for request_id in ids]
        assert len(sent) == len(set(sent)) == redis_client().zcard(window) == 40
        for member, at in redis_client().zrange(window, 0, -1, withscores=True):
            redis_client().zadd(window, {member: at - provider_limits.WINDOW_S})
        redis_client().zremrangebyscore(window, "-inf", time.time() - provider_limits.WINDOW_S + 1)
