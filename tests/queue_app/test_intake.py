"""Accepting is all or nothing in the database, and never fails because of Redis."""

from collections.abc import Callable
from dataclasses import replace
from itertools import count
from typing import Any

import pytest
from django.conf import settings as django_settings
from pytest_django.fixtures import Settings

from aiinfra.providers.base import Dialect
from aiinfra.redis import redis_client
from aiinfra.tenants.models import Organization
from cost_app.facade import ModelNotPricedError
from cost_app.models import Attempt, AttemptState, LedgerEntry
from queue_app.models import AIRequest, Priority, QueuePolicy, RequestContent, Status
from queue_app.ordering import index
from queue_app.ordering.claims import claim_next
from queue_app.ordering.tickets import ticket_queue
from queue_app.packing import unpack
from queue_app.repair.index_repair import IndexRepair
from queue_app.submission import intake
from queue_app.submission.intake import IdempotencyConflictError, UnknownProviderError
from queue_app.submission.room import QueueFullError
from queue_app.submission.submission import Submission
from tests.support.processes import free_port
from tests.support.tcp import server

Submit = Callable[..., AIRequest]
pytestmark = pytest.mark.usefixtures("scoped")
MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Grüße 👋"}]


def nothing_is_stored() -> bool:
    return not any(table.objects.exists() for table in (AIRequest, RequestContent, Attempt, LedgerEntry))


def test_a_request_is_stored_with_its_content_and_its_first_attempt(submit: Submit, organization: Organization) -> None:
    request = submit(
        messages=MESSAGES, priority=Priority.HIGH, user_ref="ann", tags=["a"], metadata={"k": [1]}, temperature=0.5
    )
    row = AIRequest.objects.get()
    assert (row.id, row.status, row.priority, row.attempt_number) == (request.id, Status.PENDING, 500, 1)
    assert (row.user_ref, row.tags, row.metadata, row.accepted_position) == ("ann", ["a"], {"k": [1]}, 1)
    call = unpack(RequestContent.objects.get().call)
    assert call.pop("cache")["text"] == MESSAGES[-1]["content"]
    assert call == {"messages": MESSAGES, "temperature": 0.5, "max_tokens": 4096}
    attempt = Attempt.objects.get()
    assert (attempt.request_id, attempt.number, attempt.state) == (request.id, 1, AttemptState.RESERVED)
    assert (attempt.user_ref, attempt.tags, attempt.organization_id) == ("ann", ["a"], organization.pk)


def test_call_names_a_tier_only_if_the_client_set_one() -> None:
    assert "service_tier" not in BODY.call
    assert replace(BODY, service_tier="flex").call["service_tier"] == "flex"


def test_a_request_is_indexed_and_wakes_a_worker(submit: Submit) -> None:
    request = submit()
    assert index.state().size == 1
    assert ticket_queue().count == 1
    claim = claim_next("worker")
    assert claim and claim.request.id == request.id


def test_tickets_never_exceed_the_slots(submit: Submit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("queue_app.ordering.tickets.WAITING_MAX", 2)
    for _ in range(4):
        submit()
    assert ticket_queue().count == 2


@pytest.mark.parametrize(
    "crash_point",
    [
        pytest.param((AIRequest.objects, "insert"), id="before the row"),
        pytest.param((RequestContent.objects, "create"), id="between row and content"),
        pytest.param((intake.cost, "open_attempt"), id="between content and attempt"),
        pytest.param((Attempt.objects, "insert"), id="within the attempt"),
    ],
)
def test_a_crash_before_the_commit_leaves_nothing(
    submit: Submit, monkeypatch: pytest.MonkeyPatch, crash_point: tuple[Any, str]
) -> None:
    def crash(*_: object, **__: object) -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as patched, pytest.raises(RuntimeError):
        patched.setattr(*crash_point, crash, raising=False)
        submit()
    assert nothing_is_stored()
    assert index.state().size == 0


def test_a_crash_after_the_commit_keeps_the_request(submit: Submit, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(_request: AIRequest, *, announce: bool) -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as patched, pytest.raises(RuntimeError):
        patched.setattr(intake, "enter", crash)
        submit()
    IndexRepair().run()
    claim = claim_next("worker")
    assert claim and claim.request == AIRequest.objects.get()


def test_without_redis_a_request_is_accepted_and_indexed_later(
    submit: Submit, settings: Settings, redis_url: str
) -> None:
    settings.REDIS_URL = f"redis://127.0.0.1:{free_port()}/0"
    request = submit()
    assert request.accepted_position == 1
    assert submit().accepted_position == 2
    settings.REDIS_URL = redis_url
    assert index.state().size == 0
    IndexRepair().run()
    claim = claim_next("worker")
    assert claim and claim.request.id == request.id


def test_a_hung_redis_delays_a_client_only_for_its_timeout(submit: Submit, settings: Settings) -> None:
    """The server accepts connections but never replies."""
    settings.REDIS_TIMEOUT_S = 0.05
    with server(lambda connection: connection.recv(1 << 20) and connection.settimeout(0.5) is None) as port:
        settings.REDIS_URL = f"redis://127.0.0.1:{port}/0"
        assert redis_client().connection_pool.connection_kwargs["socket_timeout"] == 0.05
        submit()
    assert AIRequest.objects.get().status == Status.PENDING


def test_an_unknown_provider_or_model_is_refused_by_name(submit: Submit) -> None:
    for fields, error in [
        ({"provider": "nobody"}, UnknownProviderError),
        ({"model": "gpt-nonsense"}, ModelNotPricedError),
    ]:
        with pytest.raises(error):
            submit(**fields)
    assert nothing_is_stored()


def test_lone_surrogates_are_refused_and_nothing_is_stored(submit: Submit) -> None:
    with pytest.raises(ValueError, match="surrogates"):
        submit(messages=[{"role": "user", "content": "\ud800"}])
    assert nothing_is_stored()


@pytest.mark.parametrize("redis_is_down", [False, True])
def test_a_full_queue_refuses_requests(
    submit: Submit, organization: Organization, settings: Settings, redis_is_down: bool
) -> None:
    policy = QueuePolicy.objects.create(organization=organization, depth_limit=2)
    index.set_policy(policy)
    if redis_is_down:
        settings.REDIS_URL = f"redis://127.0.0.1:{free_port()}/0"
    submit()
    submit()
    with pytest.raises(QueueFullError) as caught:
        submit()
    assert caught.value.retry_after_s > 0
    assert AIRequest.objects.count() == 2


def test_each_organization_has_its_own_depth_limit(
    submit: Submit, organization: Organization, other_organization: Organization
) -> None:
    index.set_policy(QueuePolicy(organization=organization, depth_limit=1))
    submit()
    submit(organization_id=other_organization.pk)


def test_the_position_counts_earlier_requests(submit: Submit, other_organization: Organization) -> None:
    submit(organization_id=other_organization.pk)
    numbered = [submit(priority=priority).accepted_position for priority in (10, 1000, 500, 1000, 10)]
    assert numbered == [1, 1, 2, 2, 5]


def test_a_repeat_with_the_same_key_returns_the_same_request(submit: Submit) -> None:
    first = submit(idempotency_key="k")
    assert submit(idempotency_key="k").id == first.id
    assert AIRequest.objects.count() == Attempt.objects.count() == index.state().size == 1


def test_a_repeat_is_answered_even_if_the_queue_is_full(submit: Submit, organization: Organization) -> None:
    index.set_policy(QueuePolicy(organization=organization, depth_limit=1))
    first = submit(idempotency_key="k")
    assert submit(idempotency_key="k").id == first.id


def test_reusing_key_with_different_body_is_a_conflict(submit: Submit) -> None:
    submit(idempotency_key="k", metadata={"a": 1})
    with pytest.raises(IdempotencyConflictError):
        submit(idempotency_key="k", metadata={"a": 2})


def test_keys_belong_to_their_organization(submit: Submit, other_organization: Organization) -> None:
    assert submit(idempotency_key="k").id != submit(idempotency_key="k", organization_id=other_organization.pk).id


def test_requests_without_a_key_are_always_new(submit: Submit) -> None:
    assert submit().id != submit().id


def test_the_loser_of_a_key_race_gets_the_winners_request(submit: Submit, monkeypatch: pytest.MonkeyPatch) -> None:
    winner = submit(idempotency_key="k")
    lookups, real = count(), intake.find_earlier
    monkeypatch.setattr(intake, "find_earlier", lambda one: real(one) if next(lookups) else None)
    assert submit(idempotency_key="k").id == winner.id
    assert Attempt.objects.count() == 1


BODY = Submission(organization_id=1, provider="openai", model="gpt-4", messages=[{"role": "user", "content": "a"}])
CHANGES = {
    "provider": "deepseek",
    "model": "gpt-5",
    "alias": "fast",
    "messages": [{"role": "user", "content": "b"}],
    "priority": Priority.LOW,
    "user_ref": "ann",
    "conversation_id": "c",
    "max_retries": 1,
    "timeout_ms": 1,
    "temperature": 0.1,
    "service_tier": "flex",
    "max_tokens": 5,
    "parameters": {"top_p": 0.5},
    "dialect": Dialect.ANTHROPIC,
    "headers": {"anthropic-beta": "b"},
    "has_instructions": True,
    "can_be_continued": False,
    "tags": ["t"],
    "metadata": {"a": 1},
    "cache_mode": "bypass",
    "context_key": "d",
    "webhook": "https://example.com/hook",
}


@pytest.mark.parametrize("name", sorted(CHANGES))
def test_the_fingerprint_covers_every_client_field(name: str) -> None:
    values = {field: getattr(BODY, field) for field in Submission.__dataclass_fields__}
    assert Submission(**{**values, name: CHANGES[name]}).fingerprint != BODY.fingerprint


def test_every_body_field_is_tested() -> None:
    from_the_key = {"organization_id", "api_key_id", "key_limits"}
    assert set(Submission.__dataclass_fields__) - set(CHANGES) == {*from_the_key, "idempotency_key"}


def test_the_order_of_metadata_does_not_matter() -> None:
    values = {field: getattr(BODY, field) for field in Submission.__dataclass_fields__}
    one, other = ({"a": 1, "b": 2}, {"b": 2, "a": 1})
    same = [Submission(**{**values, "metadata": each}).fingerprint for each in (one, other)]
    assert same[0] == same[1]


def test_the_depth_limit_is_ten_thousand_by_default() -> None:
    assert QueuePolicy.DEPTH_LIMIT == 10_000
    assert django_settings.REDIS_TIMEOUT_S <= 0.5


PLAIN = {"messages", "temperature", "max_tokens", "cache"}


def test_only_calls_that_use_parameters_store_any(submit: Submit) -> None:
    """Plain calls have the same fields as calls that earlier releases stored."""
    submit(max_tokens=5)
    assert set(unpack(RequestContent.objects.get().call)) == PLAIN


def test_tools_raise_the_reserved_bound(submit: Submit) -> None:
    tools = [{"type": "function", "function": {"name": "f", "description": "Adds two numbers."}}]
    plain, whole = submit(max_tokens=5), submit(max_tokens=5, parameters={"tools": tools})
    bounds = {attempt.request_id: attempt.bound_nano for attempt in Attempt.objects.all()}
    assert bounds[whole.id] > bounds[plain.id]
