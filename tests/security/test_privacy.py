"""Retention, legal holds and erasure: what is deleted, what stays, and what a run that was killed leaves."""

import json
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import Settings

from aiinfra.erasure import running
from aiinfra.idempotency import digest_of
from aiinfra.notifications.models import Channel, Delivery
from aiinfra.providers.base import TokenUsage
from aiinfra.redis import redis_client
from aiinfra.tenants.models import OnceAnswer, Organization, User
from aiinfra.tenants.privacy import erasures, holds
from aiinfra.tenants.privacy.models import Erasure
from aiinfra.tenants.privacy.retention import change_retention, retention_of
from aiinfra.tenants.scope import organization_scope, system_scope
from aiinfra.tenants.security_log.events import Event
from aiinfra.tenants.security_log.models import SecurityEvent
from cache_app import tasks as cache_tasks
from cache_app.models import CacheHit
from cache_app.store import browse, entries
from cache_app.store.entry import Entry
from cost_app import create_cost_optimizer
from cost_app.models import Attempt
from cost_app.prices import lookup as pricebook
from queue_app.models import AIRequest, RequestContent, Status
from queue_app.packing import pack
from queue_app.repair.retention import cleanup
from queue_app.submission.intake import accept
from queue_app.submission.submission import Submission
from tests.support.rows import make_row

SECRET = "the secret of anna"
MESSAGES = [{"role": "user", "content": SECRET}]


@pytest.fixture(autouse=True)
def _queue(db: None, redis_url: str) -> None:
    pricebook.add_shipped_prices()


def ask(organization: Organization, user: str, days_ago: float = 1, **more: Any) -> AIRequest:
    """A request that was answered."""
    with organization_scope(organization.pk):
        submission = Submission(
            organization.pk, "deepseek", "deepseek-chat", MESSAGES, user_ref=user, metadata={"note": SECRET}, **more
        )
        request = accept(submission)
        then = timezone.now() - timedelta(days=days_ago)
        AIRequest.objects.filter(id=request.id).update(
            status=Status.COMPLETED, completed_at=then, counted=True, error_message=SECRET
        )
        RequestContent.objects.filter(request=request).update(response=pack({"content": SECRET}))
        Attempt.objects.filter(request_id=request.id).update(error_message=SECRET)
    return request


def cached(organization: Organization, name: str, request_id: str = "", user: str = "") -> None:
    """An entry of the cache, and a hit on it."""
    now = int(timezone.now().timestamp() * 1000)
    entry = Entry(
        id=name,
        organization_id=organization.pk,
        partition="p",
        question=SECRET,
        response={"role": "assistant", "content": SECRET, "finishReason": "stop"},
        usage=TokenUsage(),
        provider="deepseek",
        model="deepseek-chat",
        created_ms=now,
        expires_ms=now + 3_600_000,
        request_id=request_id,
        user_ref=user,
    )
    entries.put(entry, vector=None)
    with organization_scope(organization.pk):
        hit = make_row(CacheHit, organization)
        CacheHit.objects.filter(pk=hit.pk).update(
            entry_id=name, user_ref="ben", cached_question=SECRET, answer=SECRET, question="how?", counted=True
        )


def everywhere(organization: Organization) -> str:
    """Everything that rows and Redis hold of the organization, as text."""
    with organization_scope(organization.pk):
        rows = [
            list(table.objects.values_list())
            for table in (AIRequest, RequestContent, Attempt, CacheHit, Delivery, OnceAnswer, Erasure)
        ]
        contents = [bytes(row.call) + bytes(row.response or b"") for row in RequestContent.objects.all()]
    page = browse.page_of(organization.pk)
    return f"{rows} {contents} {page.entries} {redis_client().keys('live:*history')}"


def fill(organization: Organization) -> AIRequest:
    """Anna's secret in every store, and Ben's beside it."""
    request = ask(organization, "anna")
    cached(organization, "a" * 32, request_id=str(request.id))
    cached(organization, "b" * 32, user="anna")
    body = json.dumps({"requestId": str(request.id), "response": {"content": SECRET}}, separators=(",", ":"))
    payload = {"type": "t", "severity": "low", "title": f"anna: {SECRET}", "text": SECRET, "facts": [], "path": ""}
    with organization_scope(organization.pk):
        OnceAnswer.objects.create(
            organization=organization, digest=digest_of("x"), fingerprint="x", status=200, body=body
        )
        channel = Channel.objects.create(organization=organization, kind="email", target="ops@example.com")
        Delivery.objects.create(organization=organization, channel=channel, message_id="m", payload=payload)
    return request


def erase(organization: Organization, user: str = "anna") -> Erasure:
    """Order and carry out."""
    erasure = erasures.order(organization=organization, user_ref=user, everything=not user, actor="user:owner")
    running.run_open()
    with organization_scope(organization.pk):
        return Erasure.objects.select_related("organization").get(pk=erasure.pk)


@pytest.mark.parametrize("user", ["anna", ""], ids=["a user", "everything"])
def test_erased_content_is_in_no_store_and_the_costs_stay(organization: Organization, user: str) -> None:
    request = fill(organization)
    with organization_scope(organization.pk):
        before = list(Attempt.objects.values_list("id", "user_ref", "bound_nano", "state"))
    assert SECRET in everywhere(organization)
    receipt = erase(organization, user)
    assert SECRET not in everywhere(organization)
    with organization_scope(organization.pk):
        assert AIRequest.objects.get(id=request.id).user_ref == receipt.pseudonym
        assert list(Attempt.objects.values_list("id", "user_ref", "bound_nano", "state")) == before
    expected = {"contents", "requests", "attempts", "cache entries", "cache hits", "idempotent answers"}
    assert receipt.counts.keys() == {*expected, "notifications"}
    assert (receipt.counts["contents"], receipt.counts["cache entries"]) == (1, 2)


def test_other_users_and_other_organizations_keep_theirs(
    organization: Organization, other_organization: Organization
) -> None:
    fill(organization)
    bens, foreign = ask(organization, "ben"), ask(other_organization, "anna")
    cached(organization, "c" * 32, request_id=str(bens.id), user="ben")
    erase(organization)
    with organization_scope(organization.pk):
        assert RequestContent.objects.get().request_id == bens.id
        assert AIRequest.objects.get(id=bens.id).user_ref == "ben"
    with organization_scope(other_organization.pk):
        assert RequestContent.objects.get().request_id == foreign.id
    assert [each.id for each in browse.page_of(organization.pk).entries] == ["c" * 32]


def test_a_request_that_has_not_ended_is_cancelled_first(organization: Organization) -> None:
    with organization_scope(organization.pk):
        request = accept(Submission(organization.pk, "deepseek", "deepseek-chat", MESSAGES, user_ref="anna"))
    erase(organization)
    with organization_scope(organization.pk):
        assert AIRequest.objects.get(id=request.id).status == Status.CANCELLED
        assert not RequestContent.objects.exists()


def test_the_receipt_names_no_user_and_its_digest_is_in_the_security_log(organization: Organization) -> None:
    fill(organization)
    receipt = erase(organization)
    assert "anna" not in json.dumps(erasures.receipt_of(receipt))
    event = SecurityEvent.objects.get(event=Event.ERASED)
    assert event.details["digest"] == receipt.digest
    assert "anna" not in str(list(SecurityEvent.objects.values_list()))


STEPS = ["cancel_live", "erase_requests", "erase_attempts", "erase_messages", "_erase_copies", "erase_history"]


@pytest.mark.parametrize("step", STEPS)
def test_a_run_that_was_killed_is_continued_by_the_next_one(
    organization: Organization, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    fill(organization)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    where: Any = running if hasattr(running, step) else running.queue
    if step == "erase_attempts":
        where = type(create_cost_optimizer())
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(where, step, killed)
        erase(organization)
    assert not SecurityEvent.objects.filter(event=Event.ERASED).exists()
    running.run_open()
    assert SECRET not in everywhere(organization)
    with organization_scope(organization.pk):
        receipt = Erasure.objects.get()
    assert receipt.finished_at
    assert receipt.counts["contents"] == 1


@pytest.mark.parametrize("user", ["", "anna"], ids=["everything", "the user"])
def test_a_legal_hold_stops_erasure_until_it_is_released(organization: Organization, user: str) -> None:
    fill(organization)
    hold = holds.place(organization_id=organization.pk, user_ref=user, reason="lawsuit", actor="user:staff")
    for subject in ("anna", ""):
        with pytest.raises(holds.HeldError, match="lawsuit"):
            erasures.order(organization=organization, user_ref=subject, everything=not subject, actor="user:owner")
    assert holds.release(hold=hold, actor="user:staff")
    erase(organization)
    assert SECRET not in everywhere(organization)


def test_a_hold_that_is_placed_after_the_order_stops_it_too(organization: Organization) -> None:
    fill(organization)
    erasures.order(organization=organization, user_ref="anna", actor="user:owner")
    holds.place(organization_id=organization.pk, reason="lawsuit", actor="user:staff")
    running.run_open()
    with organization_scope(organization.pk):
        assert RequestContent.objects.exists()
        assert Erasure.objects.get().finished_at is None


def left(organization: Organization) -> tuple[int, int]:
    """How many contents and requests there are."""
    with organization_scope(organization.pk):
        return RequestContent.objects.count(), AIRequest.objects.count()


def clean_up() -> None:
    with system_scope():
        cleanup()
    cache_tasks.clean_up_rows()


def test_each_organization_keeps_its_content_as_long_as_it_says(
    organization: Organization, other_organization: Organization, settings: Settings
) -> None:
    settings.QUEUE_RETENTION_DAYS, settings.QUEUE_CONTENT_RETENTION_DAYS = 30, 7
    change_retention(organization_id=organization.pk, request_days=10, content_days=2, actor="user:owner")
    for each in (organization, other_organization):
        for days in (1, 5, 20):
            ask(each, "anna", days)
    clean_up()
    assert left(organization) == (1, 2)
    assert left(other_organization) == (2, 3)


def test_no_organization_keeps_content_longer_than_the_installation(
    organization: Organization, settings: Settings
) -> None:
    settings.QUEUE_RETENTION_DAYS, settings.QUEUE_CONTENT_RETENTION_DAYS = 30, 7
    for request_days, content_days in ((31, 7), (30, 8), (5, 6), (1, 0)):
        with pytest.raises(ValueError):
            change_retention(
                organization_id=organization.pk, request_days=request_days, content_days=content_days, actor="user:x"
            )
    change_retention(organization_id=organization.pk, request_days=30, content_days=7, actor="user:owner")
    settings.QUEUE_RETENTION_DAYS, settings.QUEUE_CONTENT_RETENTION_DAYS = 5, 3
    assert (retention_of(organization.pk).request_days, retention_of(organization.pk).content_days) == (5, 3)


def test_an_erasure_that_waits_for_a_hold_says_so_on_the_page_and_nothing_in_the_log(
    organization: Organization, owner: User, client_of: Callable[[User], Client], caplog: pytest.LogCaptureFixture
) -> None:
    erasures.order(organization=organization, user_ref="anna", actor="user:owner")
    holds.place(organization_id=organization.pk, user_ref="anna\u200b ", reason="lawsuit", actor="user:staff")
    running.run_open()
    assert caplog.records == []
    page = client_of(owner).get("/settings/privacy/").text
    assert "waits for a legal hold" in page
    assert "in progress" not in page


def test_a_legal_hold_stops_retention_for_what_it_covers(
    organization: Organization, other_organization: Organization
) -> None:
    for user in ("anna", "ben"):
        ask(organization, user, 400)
    ask(other_organization, "anna", 400)
    holds.place(organization_id=organization.pk, user_ref="anna", reason="lawsuit", actor="user:staff")
    clean_up()
    assert left(organization) == (1, 1)
    assert left(other_organization) == (0, 0)
    holds.place(organization_id=organization.pk, reason="lawsuit", actor="user:staff")
    ask(organization, "ben", 400)
    clean_up()
    assert left(organization) == (2, 2)


def test_the_page_changes_retention_and_orders_an_erasure_after_a_confirmation(
    organization: Organization, owner: User, client_of: Callable[[User], Client]
) -> None:
    client, url = client_of(owner), "/settings/privacy/"
    assert "No erasures yet" in client.get(url).content.decode()
    assert client.post(url, {"content_days": 9999, "request_days": 9999}).status_code == 422
    assert client.post(url, {"content_days": 3, "request_days": 2}).status_code == 422
    assert client.post(url, {"content_days": 2, "request_days": 3}).status_code == 302
    assert retention_of(organization.pk).content_days == 2
    for wrong in (
        {"user": "anna"},
        {"user": "anna", "confirmation": "south"},
        {"confirmation": "north"},
        {"user": "anna", "everything": "on", "confirmation": "north"},
    ):
        assert client.post(f"{url}erase/", wrong).status_code == 422
    with organization_scope(organization.pk):
        assert not Erasure.objects.exists()
    assert client.post(f"{url}erase/", {"user": "anna", "confirmation": "north"}).status_code == 302
    page = client.get(url).content.decode()
    assert "in progress" in page
    running.run_open()
    assert "anna" not in client.get(url).content.decode()


def test_the_command_prints_the_receipt_and_refuses_what_is_held(organization: Organization) -> None:
    fill(organization)
    output = StringIO()
    call_command("erase", "north", user="anna", yes=True, stdout=output)
    receipt = json.loads(output.getvalue())
    assert receipt["counts"]["contents"] == 1
    assert len(receipt["digest"]) == 64
    holds.place(organization_id=organization.pk, reason="lawsuit", actor="user:staff")
    with pytest.raises(CommandError, match="lawsuit"):
        call_command("erase", "north", everything=True, yes=True, stdout=output)
    with pytest.raises(CommandError, match="does not exist"):
        call_command("erase", "nowhere", everything=True, yes=True, stdout=output)
