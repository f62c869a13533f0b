"""A figure that stands in several places is the same in all of them: pages, JSON, the export, the Python facade.

Two organizations, whose days begin at odd times, report the same kinds of calls; what is right is counted from what was
reported.
"""

import csv
import io
import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from django.utils.formats import number_format

from aiinfra.providers.base import TokenUsage
from aiinfra.templatetags.formats import duration_ms, money, money_places, money_to
from aiinfra.tenants.authorization import Role
from aiinfra.tenants.models import Membership, Organization, User
from aiinfra.tenants.scope import organization_scope
from cost_app import create_cost_optimizer
from cost_app.ledger.rollups import fold
from cost_app.ledger.tracking import TrackedCall, track_request
from cost_app.prices import lookup

NOW = datetime(2026, 11, 18, 15, 20, tzinfo=UTC)
MODELS = (("openai", "gpt-4"), ("deepseek", "deepseek-chat"), ("anthropic", "claude-haiku-4-5"))
NANO = 10**9
Browser = Callable[[User], Client]


@dataclass
class Told:
    """What was reported of one organization's running month."""

    client: Client
    slug: str
    nano: int = 0
    saved: int = 0
    requests: int = 0
    failed: int = 0
    hits: int = 0
    times: list[int] = field(default_factory=list)

    @property
    def hit_rate(self) -> float:
        return 100 * self.hits / (self.requests - self.failed)

    @property
    def latency(self) -> float:
        return sum(self.times) / len(self.times)


@pytest.fixture(params=["America/St_Johns", "Pacific/Chatham"])
def told(
    request: pytest.FixtureRequest, db: None, redis_url: str, client_of: Browser, monkeypatch: pytest.MonkeyPatch
) -> Told:
    """120 calls of the last 16 days: answers, failures, hits of the reporter's cache, and hits that failed."""
    monkeypatch.setattr(timezone, "now", lambda: NOW)
    lookup.clear_price_cache()
    lookup.add_shipped_prices()
    organization = Organization.objects.create(slug="odd", name="Odd Ltd", time_zone=request.param)
    person = User.objects.create_user("odd")
    Membership.objects.create(organization=organization, user=person, role=Role.OWNER.value)
    told = Told(client_of(person), organization.slug)
    chance = random.Random(request.param)
    with organization_scope(organization.pk):
        for _ in range(120):
            _report(organization, told, chance)
    fold()
    return told


def _report(organization: Organization, told: Told, chance: random.Random) -> None:
    provider, model = chance.choice(MODELS)
    usage = TokenUsage(input=chance.randrange(1, 9_000), output=chance.randrange(1, 2_000), cache_read=7)
    call = TrackedCall(
        latency_ms=chance.randrange(1, 30_000),
        cached=chance.random() < 0.3,
        success=chance.random() < 0.9,
        at=NOW - timedelta(minutes=chance.randrange(1, 16 * 1440)),
    )
    attempt = track_request(organization.pk, provider, model, usage, call)
    told.requests += 1
    told.nano += attempt.cost_nano
    told.failed += not call.success
    if call.cached and call.success:
        told.hits += 1
        told.saved += attempt.bound_nano
    elif call.success:
        told.times.append(call.latency_ms or 0)


def nano_of(text: str) -> int:
    return int(Decimal(text) * NANO)


def check(told: Told, sums: list[dict[str, Any]]) -> None:
    """The sums of JSON objects are what was reported."""
    assert sum(nano_of(each["totalCost"]) for each in sums) == told.nano
    assert sum(nano_of(each["savedCost"]) for each in sums) == told.saved
    for name, right in (("totalRequests", told.requests), ("failedRequests", told.failed), ("cacheHits", told.hits)):
        assert sum(each[name] for each in sums) == right, name


def test_the_api_says_what_was_reported(told: Told) -> None:
    summary = told.client.get("/api/ai/cost?action=summary").json()
    check(told, [summary])
    check(told, summary["byModel"])
    check(told, summary["byProvider"])
    assert summary["cacheHitRate"] == pytest.approx(told.hit_rate)
    assert summary["averageLatencyMs"] == pytest.approx(told.latency)
    for period in ("hourly", "daily", "weekly", "monthly"):
        for by in ("model", "provider", "priority", "apiKey"):
            address = f"/api/ai/cost?action=metrics&period={period}&limit=1000&by={by}"
            found = told.client.get(address).json()["metrics"]
            if period != "hourly":  # a week of hours is kept
                check(told, found)
                check(told, [group for each in found for group in each["groups"]])


def test_the_page_and_its_table_say_the_same(told: Told) -> None:
    page = " ".join(re.sub(r"<[^>]+>", " ", told.client.get("/costs/?range=month").text).split())
    answers = told.requests - told.failed
    for shown in (
        f"Spent this month {money(told.nano)}",
        f"Calls {told.requests} {told.failed} failed",
        f"Answered from cache {number_format(round(told.hit_rate, 1), 1)} % {told.hits} of {answers} answers",
        f"Saved by caching {money(told.saved)}",
    ):
        assert shown in page
    groups = told.client.get("/api/ai/cost?action=summary").json()["byModel"]
    places = money_places([told.nano, *(nano_of(group["totalCost"]) for group in groups)])
    for group in groups:
        assert f"{group['value']} {money_to(nano_of(group['totalCost']), places)}" in page
        assert duration_ms(group["averageLatencyMs"]) in page


def test_the_charts_and_the_file_say_the_same(told: Told) -> None:
    spend = told.client.get("/costs/figures/spend/?range=month").json()["data"]
    assert sum(nano_of(amount) for trace in spend for amount in trace["y"]) == told.nano
    calls = {
        each["name"]: sum(each["y"]) for each in told.client.get("/costs/figures/calls/?range=month").json()["data"]
    }
    assert calls == {
        "answered": told.requests - told.failed - told.hits,
        "cached": told.hits,
        "failed": told.failed,
    }
    month = told.client.get("/costs/figures/month/").json()["data"]
    assert nano_of(month[0]["y"][-1]) == told.nano
    response: Any = told.client.get("/costs/table.csv?range=month")
    rows = list(csv.DictReader(io.StringIO(b"".join(response.streaming_content).decode())))
    assert sum(nano_of(row["cost_usd"]) for row in rows) == told.nano
    assert sum(nano_of(row["saved_usd"]) for row in rows) == told.saved
    assert sum(int(row["requests"]) for row in rows) == told.requests
    assert sum(int(row["cache_hits"]) for row in rows) == told.hits


def test_the_ledger_s_export_says_the_same(told: Told) -> None:
    response: Any = told.client.get("/finance/exports/file/?kind=ledger&first=2026-11-01&last=2026-11-30")
    rows = list(csv.DictReader(io.StringIO(b"".join(response.streaming_content).decode())))
    column = next(name for name in rows[0] if name.startswith("cost"))
    assert sum(nano_of(row[column]) for row in rows) == told.nano
    assert len(rows) == told.requests


def test_python_says_the_same(told: Told) -> None:
    (month,) = create_cost_optimizer().get_cost_metrics(told.slug, "monthly", 1, by="model")
    for found in ([month], month.groups or ()):
        assert sum(each.total_cost * NANO for each in found) == told.nano
        assert sum(each.saved_cost * NANO for each in found) == told.saved
        assert sum(each.total_requests for each in found) == told.requests
        assert sum(each.cache_hits for each in found) == told.hits
    assert month.cache_hit_rate == pytest.approx(told.hit_rate)
    assert month.average_latency_ms == pytest.approx(told.latency)
