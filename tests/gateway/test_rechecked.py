"""Rechecks of cache hits, with a real worker, provider process, and embedder."""

import pytest

from aiinfra.gateway.waiting import WaitingRoom
from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope, system_scope
from cache_app.models import CacheHit, CacheMode, JudgedBy, Judgement
from cache_app.policy import change_policy
from cost_app import create_cost_optimizer
from cost_app.models import Attempt
from queue_app.caching.rechecks import compare_answers, queue_rechecks
from queue_app.models import AIRequest, Priority, RequestContent, Status
from tests.api.support import Caller
from tests.gateway.test_cached import PARAPHRASE, Begin, ask
from tests.providers.conftest import SandboxClient
from tests.support.processes import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

CENT = 10_000_000


@pytest.fixture(autouse=True)
def _ready(sandbox: SandboxClient, room: WaitingRoom, redis_url: str) -> None:
    """The services that the tests need."""


def set_rules(organization: Organization, **changes: object) -> None:
    with organization_scope(organization.pk):
        change_policy(organization_id=organization.pk, changes=changes, actor="user:x")


@pytest.fixture
def rechecking(organization: Organization) -> Organization:
    """An organization that rechecks every hit, up to a cent per day."""
    set_rules(organization, reask_share=1.0, reask_day_nano=CENT)
    return organization


def rechecks() -> list[AIRequest]:
    with system_scope():
        return list(AIRequest.objects.filter(idempotency_key__startswith="recheck:"))


def hit() -> CacheHit:
    with system_scope():
        return CacheHit.objects.get()


def ended() -> bool:
    return all(request.completed_at for request in rechecks())


@pytest.mark.usefixtures("rechecking")
def test_a_hit_is_rechecked_and_compared(program: Caller, worker: Begin) -> None:
    worker()
    ask(program)
    ask(program)
    queue_rechecks()
    (again,) = rechecks()
    assert (again.priority, again.cache_mode, again.metadata) == (Priority.LOW, "bypass", {"rechecks": str(hit().id)})
    wait_until(ended, "the answer")
    compare_answers()
    assert (hit().judgement, hit().judged_by) == (Judgement.RIGHT, JudgedBy.REASK)
    assert hit().fresh_answer == hit().answer
    assert not list(create_cost_optimizer().disagreements())


@pytest.mark.usefixtures("rechecking")
def test_no_hit_is_rechecked_twice(program: Caller, worker: Begin) -> None:
    worker()
    ask(program)
    ask(program)
    for _ in range(3):
        queue_rechecks()
    with system_scope():
        CacheHit.objects.update(reasked_at=None)
    queue_rechecks()
    assert len(rechecks()) == 1


def test_nothing_is_rechecked_by_default(program: Caller, worker: Begin) -> None:
    worker()
    ask(program)
    ask(program)
    queue_rechecks()
    compare_answers()
    assert not rechecks()
    assert hit().judgement == ""


@pytest.mark.usefixtures("rechecking")
def test_a_recheck_without_its_question_is_given_up(program: Caller, worker: Begin) -> None:
    worker()
    ask(program)
    ask(program)
    with system_scope():
        RequestContent.objects.all().delete()
    queue_rechecks()
    compare_answers()
    assert hit().compared_at is None
    with system_scope():
        CacheHit.objects.update(reasked_at=hit().at.replace(year=2000))
    compare_answers()
    assert hit().compared_at is not None
    assert (rechecks(), hit().judgement) == ([], "")


@pytest.mark.usefixtures("rechecking")
def test_a_recheck_answered_by_another_model_is_given_up(program: Caller, worker: Begin) -> None:
    worker()
    ask(program)
    ask(program)
    queue_rechecks()
    with system_scope():
        wait_until(ended, "the answer")
        (again,) = rechecks()
        Attempt.objects.filter(request_id=again.id).update(model="gpt-3.5-turbo", provider="openai")
    compare_answers()
    assert (hit().judgement, hit().fresh_answer) == ("", "")
    assert hit().compared_at is not None


@pytest.mark.usefixtures("rechecking")
def test_a_failed_recheck_is_given_up(program: Caller, worker: Begin) -> None:
    worker()
    ask(program)
    ask(program)
    queue_rechecks()
    with system_scope():
        wait_until(ended, "the answer")
        AIRequest.objects.filter(idempotency_key__isnull=False).update(status=Status.FAILED)
    compare_answers()
    assert hit().compared_at is not None
    assert hit().judgement == ""


def test_in_shadow_mode_both_answers_are_compared(program: Caller, worker: Begin, organization: Organization) -> None:
    worker()
    ask(program)
    set_rules(organization, mode=CacheMode.SHADOW)
    wait_until(lambda: ask(program, PARAPHRASE)["cached"] is False, "shadow mode")
    compare_answers()
    with system_scope():
        shadow = CacheHit.objects.filter(shadow=True).first()
    assert shadow is not None
    assert shadow.judged_by == JudgedBy.SHADOW
    assert shadow.fresh_answer != ""
    assert shadow.compared_at is not None
