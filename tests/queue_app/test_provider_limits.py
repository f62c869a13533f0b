"""Provider limits: a claim never exceeds them, and they do not delay other requests."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings

from aiinfra.providers.models import FallbackRoute
from aiinfra.redis import redis_client
from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope, system_scope
from cost_app.ledger.entries import book_entry
from cost_app.models import ModelAlias, ProviderLimit
from queue_app import create_ai_request_queue
from queue_app.models import AIRequest, Priority, Status
from queue_app.ordering import index, provider_limits
from queue_app.ordering.claims import claim_next
from queue_app.ordering.index import IndexEntry
from queue_app.processing.provider_call import process
from queue_app.repair.index_repair import IndexRepair
from queue_app.stats.summary import queue_stats
from tests.queue_app.conftest import ScriptedProvider, refusal
from tests.queue_app.provider_limits import CHAT, Submit, expire_minute_window, limit, run, started


def test_no_more_requests_start_than_the_limit_allows_in_a_minute(submit: Submit, provider: ScriptedProvider) -> None:
    limit(CHAT, 3)
    for _ in range(7):
        submit()
    run(claim_next("worker") for _ in range(3))
    assert claim_next("worker") is None
    assert len(provider.calls) == 3
    expire_minute_window()
    assert len(started()) == 3


def test_other_requests_are_not_blocked(submit: Submit, other_organization: Organization) -> None:
    limit(CHAT, 1)
    first = submit(priority=Priority.CRITICAL)
    for _ in range(20):
        submit(priority=Priority.CRITICAL)
    other_model = submit(provider="openai", model="gpt-4", priority=Priority.LOW)
    stranger = submit(organization_id=other_organization.pk, provider="anthropic", model="claude-haiku-4-5")
    assert {request.id for request in started()} == {first.id, other_model.id, stranger.id}


def test_the_best_request_starts_once_the_limit_has_room(submit: Submit) -> None:
    limit(CHAT, 1)
    submit(priority=Priority.LOW)
    assert len(started()) == 1
    submit(priority=Priority.LOW)
    critical = submit(priority=Priority.CRITICAL)
    assert started() == []
    expire_minute_window()
    index.release(index.old_claims(-1))
    assert [request.id for request in started()] == [critical.id]


def test_every_waiting_organization_gets_its_turn(
    submit: Submit, organization: Organization, other_organization: Organization
) -> None:
    limit(CHAT, 1)
    for _ in range(10):
        submit()
        submit(organization_id=other_organization.pk)
    served = []
    for _ in range(6):
        (request,) = started()
        served.append(request.organization_id)
        expire_minute_window()
        index.release([IndexEntry.of(request)])
    assert served.count(organization.pk) == served.count(other_organization.pk) == 3


def test_models_without_a_limit_share_the_providers(submit: Submit) -> None:
    limit("deepseek/", 2)
    limit("deepseek/deepseek-v4-pro", None)
    for model in ("deepseek-chat", "deepseek-flash", "deepseek-chat", "deepseek-v4-pro", "deepseek-v4-pro"):
        submit(model=model)
    assert sorted(request.model for request in started()) == [
        "deepseek-chat",
        "deepseek-flash",
        "deepseek-v4-pro",
        "deepseek-v4-pro",
    ]


def test_a_retry_counts_as_another_call(submit: Submit, provider: ScriptedProvider, settings: Settings) -> None:
    settings.RETRY_BASE_S = 0
    limit(CHAT, 2)
    provider.script = [refusal("SERVER_ERROR")]
    submit()
    submit()
    run([claim_next("worker"), claim_next("worker")])
    assert (len(provider.calls), claim_next("worker")) == (2, None)


def test_a_fallback_counts_against_its_own_models_limit(
    submit: Submit, provider: ScriptedProvider, scoped: Organization
) -> None:
    limit("openai/gpt-4", 1)
    FallbackRoute.objects.create(
        organization=scoped,
        provider="deepseek",
        model="deepseek-chat",
        position=1,
        to_provider="openai",
        to_model="gpt-4",
    )
    provider.script = [refusal("SERVER_ERROR")]
    submit(max_retries=0)
    submit(max_retries=0)
    run(claim_next("worker") for _ in range(3))
    called = [f"{attempt.provider}/{attempt.model}" for attempt, _ in provider.calls]
    assert called == [CHAT, "openai/gpt-4", CHAT]
    assert claim_next("worker") is None
    assert provider_limits.waiting_for_limits([scoped.pk]) == {"openai/gpt-4": 1}


def test_a_claim_without_a_call_frees_its_place(submit: Submit, provider: ScriptedProvider) -> None:
    limit(CHAT, 1)
    submit()
    queue = create_ai_request_queue()
    queued = queue.dequeue()
    assert queued is not None
    assert queue.dequeue() is None
    queue.give_back(queued)
    again = queue.dequeue()
    assert again is not None
    queue.process(again)
    submit()
    assert queue.dequeue() is None


def test_a_call_sent_after_more_than_a_minute_counts(submit: Submit) -> None:
    limit(CHAT, 1)
    submit()
    submit()
    assert len(started()) == 1
    expire_minute_window()
    assert started() == []


def test_a_request_with_a_changed_model_returns_to_the_right_lane(
    submit: Submit, provider: ScriptedProvider, scoped: Organization
) -> None:
    """The reconciler's rows can be older than the last fallback."""
    limit("openai/gpt-4", 5)
    request = submit()
    request.next_model = "openai/gpt-4"
    index.admit([request])
    claim = claim_next("worker")
    assert claim is not None and claim.reserved is not None
    assert claim.reserved.model == "openai/gpt-4"
    process(claim)
    assert provider.calls == []
    assert provider_limits.limit_uses()["openai/gpt-4"].used == 0
    run([claim_next("worker")])
    assert AIRequest.objects.get().status == Status.COMPLETED


def test_lost_calls_are_restored_from_the_ledger(
    submit: Submit, provider: ScriptedProvider, organization: Organization
) -> None:
    limit(CHAT, 3)
    for _ in range(9):
        submit()
    run([claim_next("worker")])
    assert claim_next("worker") is not None
    with organization_scope(organization.pk):
        yesterday = timezone.now() - timedelta(days=1)
        book_entry(organization_id=organization.pk, kind="external", provider="x", model="y", nano=0, at=yesterday)
    redis_client().flushall()
    IndexRepair().run()
    assert provider_limits.limit_uses()[CHAT].used == 2
    assert len(started()) == 1


def test_a_changed_limit_applies_immediately(submit: Submit) -> None:
    limit(CHAT, 1)
    for _ in range(9):
        submit()
    assert len(started()) == 1
    limit(CHAT, 3)
    assert len(started()) == 2
    limit(CHAT, 2)
    assert started() == []
    limit(CHAT, None)
    assert len(started()) == 6


def test_index_repair_restores_wrong_limits(submit: Submit) -> None:
    limit(CHAT, 1)
    redis_client().hset(f"{index.PREFIX}limits", CHAT, 500)
    IndexRepair().run()
    submit()
    submit()
    assert len(started()) == 1


def test_a_shipped_limit_does_not_apply_to_the_sandbox(db: None, settings: Settings) -> None:
    ProviderLimit.objects.all().delete()
    ProviderLimit.objects.create(provider="deepseek", requests_per_minute=100)
    assert provider_limits.cost.rate_limits() == {}
    settings.PROVIDER_API_KEYS = {"openai": "", "deepseek": "a-key", "anthropic": ""}
    assert provider_limits.cost.rate_limits() == {"deepseek/": 100}


def test_an_alias_shares_the_limit_of_its_model(submit: Submit, scoped: Organization) -> None:
    for alias, model in (("snapshot", "deepseek-chat"), ("own", "deepseek-chat"), ("no-limit", "deepseek-v4-pro")):
        ModelAlias.objects.create(provider="deepseek", alias=alias, model=model, state="approved")
    limit("deepseek/own", 5)
    limit(CHAT, 2)
    requests = [submit(model=model) for model in ("deepseek-chat", "snapshot", "snapshot", "own", "no-limit")]
    assert {request.id for request in started()} == {requests[number].id for number in (0, 1, 3, 4)}
    assert {name: (use.per_minute, use.used) for name, use in provider_limits.limit_uses().items()} == {
        CHAT: (2, 2),
        "deepseek/own": (5, 1),
    }


def test_the_figures_count_requests_waiting_for_a_limit(submit: Submit, scoped: Organization) -> None:
    limit(CHAT, 1)
    for _ in range(4):
        submit()
    started()
    assert queue_stats().limited == {CHAT: 3}
    with system_scope():
        assert queue_stats().limited == {CHAT: 3}


def commands_of(action: Callable[[], object]) -> list[str]:
    """The commands sent to Redis, except those of scripts."""
    client = redis_client()
    with client.monitor() as monitor:
        action()
        client.echo("the end")
        seen = []
        for command in monitor.listen():
            if command["command"].startswith("ECHO"):
                return seen
            if command["client_type"] != "lua" and not command["command"].startswith(("HELLO", "CLIENT")):
                seen.append(command["command"].split()[0])
    raise AssertionError("the monitor ended")


@pytest.mark.parametrize("per_minute", [None, 50])
def test_a_claim_is_one_command_with_or_without_a_limit(submit: Submit, per_minute: int | None) -> None:
    limit(CHAT, per_minute)
    submit()
    submit()
    index.claim()
    assert commands_of(index.claim) == ["EVALSHA"]


def test_a_claim_does_not_scan_requests_waiting_for_a_limit(
    redis_url: str, db: None, organization: Organization
) -> None:
    """The script runs as many commands with 2,000 blocked requests as with 20."""
    spent = []
    for blocked in (20, 2_000):
        redis_client().flushall()
        index.run("set_limits", [CHAT, 1])
        now = timezone.now() - timedelta(seconds=60)
        rows = [
            AIRequest(organization_id=1, provider="deepseek", model="deepseek-chat", created_at=now, not_before=now)
            for _ in range(blocked)
        ]
        index.admit(rows)
        index.admit([AIRequest(organization_id=1, provider="openai", model="gpt-4", not_before=now) for _ in range(3)])
        index.claim()
        before = redis_client().info("commandstats")
        assert index.claim() is not None
        after = redis_client().info("commandstats")
        calls = {name: stat["calls"] - before.get(name, {"calls": 0})["calls"] for name, stat in after.items()}
        spent.append({name: count for name, count in calls.items() if count and name != "cmdstat_info"})
    assert spent[0] == spent[1]
