"""Erasure and legal holds: deleted content, kept costs, and interrupted runs."""

import json
from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from aiinfra.erasure import running
from aiinfra.tenants.models import Organization, User
from aiinfra.tenants.privacy import erasures, holds
from aiinfra.tenants.privacy.models import Erasure
from aiinfra.tenants.privacy.retention import retention_of
from aiinfra.tenants.scope import organization_scope
from aiinfra.tenants.security_log.events import Event
from aiinfra.tenants.security_log.models import SecurityEvent
from cache_app.store import browse
from cost_app import create_cost_optimizer
from cost_app.models import Attempt
from queue_app.models import AIRequest, RequestContent, Status
from queue_app.submission.intake import accept
from queue_app.submission.submission import Submission
from tests.security.private_content import (
    MESSAGES,
    SECRET,
    all_stored_content,
    create_cache_entry,
    create_completed_request,
    fill,
)

pytestmark = pytest.mark.usefixtures("priced")


def erase(organization: Organization, user: str = "anna") -> Erasure:
    """Order and run an erasure."""
    erasure = erasures.order(organization=organization, user_ref=user, everything=not user, actor="user:owner")
    running.run_open()
    with organization_scope(organization.pk):
        return Erasure.objects.select_related("organization").get(pk=erasure.pk)


@pytest.mark.parametrize("user", ["anna", ""], ids=["user", "everything"])
def test_erased_content_is_removed_from_every_store_but_costs_remain(organization: Organization, user: str) -> None:
    request = fill(organization)
    with organization_scope(organization.pk):
        before = list(Attempt.objects.values_list("id", "user_ref", "bound_nano", "state"))
    assert SECRET in all_stored_content(organization)
    receipt = erase(organization, user)
    assert SECRET not in all_stored_content(organization)
    with organization_scope(organization.pk):
        assert AIRequest.objects.get(id=request.id).user_ref == receipt.pseudonym
        assert list(Attempt.objects.values_list("id", "user_ref", "bound_nano", "state")) == before
    expected = {"contents", "requests", "attempts", "cache entries", "cache hits", "idempotent answers"}
    assert receipt.counts.keys() == {*expected, "notifications"}
    assert (receipt.counts["contents"], receipt.counts["cache entries"]) == (1, 2)


def test_other_users_and_organizations_are_not_affected(
    organization: Organization, other_organization: Organization
) -> None:
    fill(organization)
    bens, foreign = create_completed_request(organization, "ben"), create_completed_request(other_organization, "anna")
    create_cache_entry(organization, "c" * 32, request_id=str(bens.id), user="ben")
    erase(organization)
    with organization_scope(organization.pk):
        assert RequestContent.objects.get().request_id == bens.id
        assert AIRequest.objects.get(id=bens.id).user_ref == "ben"
    with organization_scope(other_organization.pk):
        assert RequestContent.objects.get().request_id == foreign.id
    assert [each.id for each in browse.page_of(organization.pk).entries] == ["c" * 32]


def test_pending_request_is_cancelled_before_its_erasure(organization: Organization) -> None:
    with organization_scope(organization.pk):
        request = accept(Submission(organization.pk, "deepseek", "deepseek-chat", MESSAGES, user_ref="anna"))
    erase(organization)
    with organization_scope(organization.pk):
        assert AIRequest.objects.get(id=request.id).status == Status.CANCELLED
        assert not RequestContent.objects.exists()


def test_receipt_names_no_user_and_its_digest_is_in_the_security_log(organization: Organization) -> None:
    fill(organization)
    receipt = erase(organization)
    assert "anna" not in json.dumps(erasures.receipt_of(receipt))
    event = SecurityEvent.objects.get(event=Event.ERASED)
    assert event.details["digest"] == receipt.digest
    assert "anna" not in str(list(SecurityEvent.objects.values_list()))


STEPS = ["cancel_live", "erase_requests", "erase_attempts", "erase_messages", "_erase_copies", "erase_history"]


@pytest.mark.parametrize("step", STEPS)
def test_killed_run_is_continued_by_the_next_one(
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
    assert SECRET not in all_stored_content(organization)
    with organization_scope(organization.pk):
        receipt = Erasure.objects.get()
    assert receipt.finished_at
    assert receipt.counts["contents"] == 1


@pytest.mark.parametrize("user", ["", "anna"], ids=["everything", "user"])
def test_legal_hold_blocks_erasure_until_it_is_released(organization: Organization, user: str) -> None:
    fill(organization)
    hold = holds.place(organization_id=organization.pk, user_ref=user, reason="lawsuit", actor="user:staff")
    for subject in ("anna", ""):
        with pytest.raises(holds.HeldError, match="lawsuit"):
            erasures.order(organization=organization, user_ref=subject, everything=not subject, actor="user:owner")
    assert holds.release(hold=hold, actor="user:staff")
    erase(organization)
    assert SECRET not in all_stored_content(organization)


def test_hold_placed_after_the_order_blocks_it_too(organization: Organization) -> None:
    fill(organization)
    erasures.order(organization=organization, user_ref="anna", actor="user:owner")
    holds.place(organization_id=organization.pk, reason="lawsuit", actor="user:staff")
    running.run_open()
    with organization_scope(organization.pk):
        assert RequestContent.objects.exists()
        assert Erasure.objects.get().finished_at is None


def test_held_erasure_is_shown_on_the_page_without_log_messages(
    organization: Organization, owner: User, client_of: Callable[[User], Client], caplog: pytest.LogCaptureFixture
) -> None:
    erasures.order(organization=organization, user_ref="anna", actor="user:owner")
    holds.place(organization_id=organization.pk, user_ref="anna\u200b ", reason="lawsuit", actor="user:staff")
    running.run_open()
    assert caplog.records == []
    page = client_of(owner).get("/settings/privacy/").text
    assert "waits for a legal hold" in page
    assert "in progress" not in page


def test_page_changes_retention_and_requires_confirmation_for_an_erasure(
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


def test_command_prints_the_receipt_and_refuses_held_subjects(organization: Organization) -> None:
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
