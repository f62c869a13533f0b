"""Audit events as sentences."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils.html import strip_tags

from aiinfra.tenants import audit, keys
from aiinfra.tenants.audit_sentences import sentence
from aiinfra.tenants.authorization import Role
from aiinfra.tenants.models import Organization, User
from aiinfra.tenants.scope import organization_scope

REQUEST = "3f2b8c10-1111-2222-3333-444455556666"
TWO = {"warning_percent": [80, 90], "rollover_unused": [False, True]}


@pytest.mark.parametrize(
    ("verb", "target", "changes", "expected"),
    [
        (
            "budget.changed",
            "budget 3: Monthly budget of tag Marketing",
            {"limit": ["10.00", "20.00"]},
            "changed the limit of the monthly budget of tag Marketing from $10.00 to $20.00",
        ),
        (
            "budget.changed",
            "budget 3: Daily budget of the organization",
            TWO,
            "changed the daily budget of the organization: warning threshold from 80% to 90%; "
            "carrying over unused amounts from off to on",
        ),
        ("cost_policy.changed", "rules for spend", {"allowed_models": [[], ["a/b", "a/c"]]}, "to a/b, a/c"),
        ("cost_policy.changed", "rules for spend", {"spike_floor_nano": [10**9, 2 * 10**9]}, "from $1.00 to $2.00"),
        ("member.role_changed", "bob@example.com", {"role": ["viewer", "admin"]}, "the role of bob@example.com from"),
        ("api_key.revoked", "Website (AbCdEf12)", {}, "revoked the API key Website"),
        ("request.cancelled", REQUEST, {}, "cancelled request 3f2b8c10"),
        ("queue.paused", "all priorities", {"paused": [[], [1, 2, 3, 4]]}, "paused all priorities"),
        (
            "alert.resolved",
            "alert 7: 90% is used.",
            {"state": ["open", "resolved"]},
            'resolved the alert "90% is used."',
        ),
        ("budget.increased", "budget 3: X", {"increase": [None, "5.00"]}, "raised the x temporarily (increase: $5.00)"),
        ("budget.changed", "budget 3: X", {"limit": ["30000.00", "0.000042"]}, "from $30,000.00 to $0.000042"),
        (
            "gadget.polished",
            "G {1}",
            {"until": [None, "2026-11-27T09:00:00+00:00"]},
            "polished gadget G {1} (end: Nov 27",
        ),
    ],
)
def test_event_is_a_sentence_with_names_and_amounts(
    organization: Organization, verb: str, target: str, changes: dict[str, Any], expected: str
) -> None:
    event = audit.record(organization_id=organization.pk, actor="user:ada", verb=verb, target=target, changes=changes)
    result = sentence(event)
    assert result.who == "ada"
    assert expected in f"{result.before}{result.target}{result.after}"
    assert verb in result.raw


def test_actor_is_named_by_key_or_command(organization: Organization) -> None:
    key, _ = keys.create_key(organization=organization, name="Website", role=Role.VIEWER, actor="command:test")
    with organization_scope(organization.pk):
        by = [
            sentence(audit.record(organization_id=organization.pk, actor=actor, verb="x.y", target="z")).who
            for actor in (audit.key_actor(key), "command:createorg", "Python")
        ]
    assert by == ["API key Website", "The command createorg", "Python"]


def test_page_shows_sentences_links_and_the_record(
    organization: Organization, finance: User, client_of: Callable[[User], Client]
) -> None:
    audit.record(
        organization_id=organization.pk,
        actor="user:ada",
        verb="budget.changed",
        target="budget 3: Monthly budget of tag Marketing",
        changes={"limit": ["10.00", "20.00"]},
    )
    page = client_of(finance).get(reverse("audit")).text
    text = re.sub(r"\s+", " ", strip_tags(page))
    assert "ada changed the limit of the monthly budget of tag Marketing from $10.00 to $20.00" in text
    assert reverse("budget", args=[3]) in page
    record = re.search(r"<details>.*?<pre.*?>(.*?)</pre>", page, re.DOTALL)
    assert record is not None
    assert "budget.changed" in record[1]
