"""The cache in front of the queue, with a real worker, provider process, Redis, and embedder."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection
from django.http import HttpResponse

from aiinfra.gateway.waiting import WaitingRoom
from aiinfra.redis import redis_client
from aiinfra.tenants.authorization import Role
from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope, system_scope
from cache_app.manage import clear
from cache_app.models import CacheHit, CacheMode
from cache_app.policy import change_policy
from cost_app import create_cost_optimizer
from cost_app.models import LedgerEntry, LedgerKind
from queue_app.caching.coalescing import settle_orphaned_followers
from queue_app.models import AIRequest, RequestContent, Status
from queue_app.packing import unpack
from tests.api.support import CHAT, QUEUE, Caller, new_key
from tests.providers.conftest import SandboxClient
from tests.support.processes import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

Begin = Callable[[], None]
QUESTION = "How can we lower the carbon emissions of our delivery vans?"
PARAPHRASE = "How can we reduce the carbon emissions of our delivery vans?"
OPPOSITE = "How can we raise the carbon emissions of our delivery vans?"


@pytest.fixture(autouse=True)
def _ready(sandbox: SandboxClient, room: WaitingRoom, redis_url: str) -> None:
    """The services that the tests need."""


def ask(program: Caller, text: str = QUESTION, **body: Any) -> dict[str, Any]:
    response = program.post(CHAT, {"messages": [{"role": "user", "content": text}], "wait": True, **body})
    assert response.status_code == 200, response.content
    answer: dict[str, Any] = json.loads(response.content)
    return answer


def in_ledger(kind: LedgerKind) -> int:
    with system_scope():
        return LedgerEntry.objects.filter(kind=kind).count()


def test_paraphrased_question_is_answered_by_the_cache(program: Caller, worker: Begin) -> None:
    worker()
    first = ask(program)
    assert (first["cached"], first["similarity"]) == (False, None)
    again = ask(program, PARAPHRASE)
    assert again["cached"] is True
    assert again["response"] == first["response"]
    assert 0.85 <= again["similarity"] < 1
    assert again["cost"] == "0.00"
    same = ask(program)
    assert (same["cached"], same["similarity"]) == (True, 1.0)
    assert (in_ledger(LedgerKind.USAGE), in_ledger(LedgerKind.CACHE_HIT)) == (1, 2)


def test_client_can_report_a_wrong_answer(program: Caller, worker: Begin) -> None:
    worker()
    first = ask(program)
    hit = ask(program, PARAPHRASE)
    assert (first["entryId"], hit["cached"]) == (None, True)
    body = {"action": "report", "entryId": hit["entryId"], "requestId": hit["requestId"], "correct": False}
    assert program.post("/api/ai/cache", body).status_code == 200
    assert ask(program, PARAPHRASE)["cached"] is False


def test_cache_hit_saves_the_cost_of_the_call(program: Caller, worker: Begin) -> None:
    worker()
    ask(program)
    ask(program)
    with system_scope():
        usage, hit = LedgerEntry.objects.order_by("id")
        assert (hit.nano, hit.saved_nano) == (0, usage.nano)
        assert CacheHit.objects.get().saved_nano == usage.nano


def test_opposite_question_is_sent_to_the_provider(program: Caller, worker: Begin) -> None:
    worker()
    ask(program)
    assert ask(program, OPPOSITE)["cached"] is False


def test_cache_hit_is_stored_as_a_request(program: Caller, worker: Begin) -> None:
    worker()
    ask(program)
    hit = ask(program)
    status = json.loads(program.get(QUEUE, action="status", requestId=hit["requestId"]).content)
    assert (status["status"], status["cached"], status["attempts"]) == ("completed", True, [])
    assert status["response"] == hit["response"]


def test_idempotent_repeat_of_a_cache_hit_is_booked_once(program: Caller, worker: Begin) -> None:
    worker()
    ask(program)
    body = {"messages": [{"role": "user", "content": QUESTION}], "wait": True}
    one, two = (json.loads(program.post(CHAT, body, **{"Idempotency-Key": "k1"}).content) for _ in range(2))
    assert one == two
    assert in_ledger(LedgerKind.CACHE_HIT) == 1


@pytest.mark.parametrize("mode", ["bypass", "refresh"])
def test_bypass_and_refresh_get_a_new_answer(program: Caller, worker: Begin, mode: str) -> None:
    worker()
    ask(program)
    assert ask(program, cache=mode)["cached"] is False
    assert in_ledger(LedgerKind.USAGE) == 2


def test_bypass_answer_is_not_cached(program: Caller, worker: Begin) -> None:
    worker()
    ask(program, cache="bypass")
    assert ask(program)["cached"] is False


def test_cache_only_call_returns_404_on_a_miss(program: Caller, worker: Begin) -> None:
    missed = program.post(CHAT, {"messages": [{"role": "user", "content": QUESTION}], "cache": "only"})
    assert missed.status_code == 404
    assert json.loads(missed.content)["error"]["type"] == "cache_miss"
    worker()
    ask(program)
    assert ask(program, cache="only")["cached"] is True


@pytest.mark.parametrize(
    "changed",
    [
        {"provider": "openai", "model": "gpt-4"},
        {"temperature": 0.5},
        {"maxTokens": 77},
        {"contextKey": "documents of June"},
    ],
)
def test_question_with_different_parameters_is_a_cache_miss(
    program: Caller, worker: Begin, changed: dict[str, Any]
) -> None:
    worker()
    ask(program)
    assert ask(program, **changed)["cached"] is False


def test_question_in_a_different_conversation_is_a_cache_miss(program: Caller, worker: Begin) -> None:
    worker()
    earlier = [{"role": "system", "content": "You are brief."}]
    turn = {"role": "user", "content": QUESTION}
    ask(program)
    answer = program.post(CHAT, {"messages": [*earlier, turn], "wait": True})
    assert json.loads(answer.content)["cached"] is False


def test_another_organizations_answer_is_not_served(
    program: Caller, worker: Begin, other_organization: Organization
) -> None:
    worker()
    ask(program)
    stranger = Caller(key=new_key(other_organization, Role.OPERATOR))
    assert ask(stranger)["cached"] is False


def test_truncated_answer_is_not_cached(program: Caller, worker: Begin) -> None:
    worker()
    first = ask(program, maxTokens=1)
    assert first["response"]["finishReason"] == "length"
    assert ask(program, maxTokens=1)["cached"] is False


def test_shadow_mode_calls_the_provider_every_time(program: Caller, worker: Begin, organization: Organization) -> None:
    with organization_scope(organization.pk):
        change_policy(organization_id=organization.pk, changes={"mode": CacheMode.SHADOW}, actor="command:test")
    worker()
    ask(program)
    assert ask(program)["cached"] is False
    with system_scope():
        assert CacheHit.objects.get().shadow


def test_disabled_cache_stores_nothing(
    program: Caller, worker: Begin, organization: Organization, caplog: pytest.LogCaptureFixture
) -> None:
    with organization_scope(organization.pk):
        change_policy(organization_id=organization.pk, changes={"mode": CacheMode.OFF}, actor="command:test")
    worker()
    ask(program)
    assert ask(program)["cached"] is False
    assert not redis_client().keys(f"sc:{{{organization.pk}}}:e:*")
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


def test_only_one_of_many_concurrent_identical_requests_calls_the_provider(
    program: Caller, worker: Begin, sandbox: SandboxClient
) -> None:
    billed = len(sandbox.get("/sandbox/book"))

    def send(_: int) -> HttpResponse:
        response = program.post(CHAT, {"messages": [{"role": "user", "content": QUESTION}]})
        connection.close()
        return response

    with ThreadPoolExecutor(8) as pool:
        responses = list(pool.map(send, range(60)))
    worker()
    with ThreadPoolExecutor(8) as pool:
        responses += list(pool.map(send, range(40)))
    ids = {json.loads(response.content)["requestId"] for response in responses}
    assert len(ids) == 100
    with system_scope():
        wait_until(lambda: AIRequest.objects.filter(status=Status.COMPLETED).count() == 100, "the answers")
        assert AIRequest.objects.filter(cached=True).count() == 99
        assert not AIRequest.objects.filter(flight__isnull=False).exists()
    assert len(sandbox.get("/sandbox/book")) - billed == 1
    assert (in_ledger(LedgerKind.USAGE), in_ledger(LedgerKind.CACHE_HIT)) == (1, 99)
    assert not list(create_cost_optimizer().disagreements())


def test_follower_calls_the_provider_when_the_leader_is_cancelled(program: Caller, worker: Begin) -> None:
    body = {"messages": [{"role": "user", "content": QUESTION}]}
    leader, *others = (json.loads(program.post(CHAT, body).content)["requestId"] for _ in range(3))
    assert program.post(QUEUE, {"action": "cancel", "requestId": leader}).status_code == 200
    worker()
    with system_scope():
        wait_until(lambda: AIRequest.objects.filter(id__in=others, status=Status.COMPLETED).count() == 2, "the answers")
        assert AIRequest.objects.filter(cached=True).count() == 1
    assert not list(create_cost_optimizer().disagreements())


def test_followers_are_answered_when_the_leaders_worker_died(program: Caller, worker: Begin) -> None:
    body = {"messages": [{"role": "user", "content": QUESTION}]}
    leader, follower = (json.loads(program.post(CHAT, body).content)["requestId"] for _ in range(2))
    with system_scope():
        AIRequest.objects.filter(id=follower).update(leader_id=None)  # hide it from the leader's worker
    worker()
    with system_scope():
        wait_until(lambda: AIRequest.objects.get(id=leader).status == Status.COMPLETED, "the leader")
        AIRequest.objects.filter(id=follower).update(leader_id=leader)
        settle_orphaned_followers()
        # The leader's worker may also have found it by now and be about to answer it.
        wait_until(lambda: AIRequest.objects.get(id=follower).status == Status.COMPLETED, "the follower")


def test_request_right_after_the_leaders_end_gets_its_answer(
    program: Caller, worker: Begin, organization: Organization
) -> None:
    worker()
    first = ask(program)
    with system_scope():
        entry = RequestContent.objects.get(request_id=first["requestId"])
        flight = unpack(entry.call)["cache"]["entry"]
        leader = AIRequest.objects.filter(id=first["requestId"])
        wait_until(lambda: leader.filter(flight=None).exists(), "the worker to end the flight")
        leader.update(flight=flight)
    clear(organization_id=organization.pk, everything=True, actor="user:x")
    late = ask(program)
    assert (late["cached"], late["response"]) == (True, first["response"])
    assert (in_ledger(LedgerKind.USAGE), in_ledger(LedgerKind.CACHE_HIT)) == (1, 1)
