"""The same figure has the same value everywhere: on pages, in JSON, in exports, and in the Python API.

Two organizations in unusual time zones report the same kinds of calls. The expected values are computed from the
reported calls.
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
class Reported:
    """The totals that one organization reported in the current month."""

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
def reported(
    request: pytest.FixtureRequest, db: None, redis_url: str, client_of: Browser, monkeypatch: pytest.MonkeyPatch
) -> Reported:
    """Report 120 calls of the last 16 days: successes, failures, cache hits, and failed cache hits."""
    monkeypatch.setattr(timezone, "now", lambda: NOW)
    lookup.clear_price_cache()
    lookup.add_shipped_prices()
    organization = Organization.objects.create(slug="odd", name="Odd Ltd", time_zone=request.param)
    person = User.objects.create_user("odd")
    Membership.objects.create(organization=organization, user=person, role=Role.OWNER.value)
    reported = Reported(client_of(person), organization.slug)
    chance = random.Random(request.param)
    with organization_scope(organization.pk):
        for _ in range(120):
            _report(organization, reported, chance)
    fold()
    return reported


def _report(organization: Organization, reported: Reported, chance: random.Random) -> None:
    provider, model = chance.choice(MODELS)
    usage = TokenUsage(input=chance.randrange(1, 9_000), output=chance.randrange(1, 2_000), cache_read=7)
    call = TrackedCall(
        latency_ms=chance.randrange(1, 30_000),
        cached=chance.random() < 0.3,
        success=chance.random() < 0.9,
        at=NOW - timedelta(minutes=chance.randrange(1, 16 * 1440)),
    )
    attempt = track_request(organization.pk, provider, model, usage, call)
    reported.requests += 1
    reported.nano += attempt.cost_nano
    reported.failed += not call.success
    if call.cached and call.success:
        reported.hits += 1
        reported.saved += attempt.bound_nano
    elif call.success:
        reported.times.append(call.latency_ms or 0)


def nano_of(text: str) -> int:
    return int(Decimal(text) * NANO)


def check(reported: Reported, sums: list[dict[str, Any]]) -> None:
    """The sums of the JSON objects equal the reported totals."""
    assert sum(nano_of(each["totalCost"]) for each in sums) == reported.nano
    assert sum(nano_of(each["savedCost"]) for each in sums) == reported.saved
    for name, right in (
        ("totalRequests", reported.requests),
        ("failedRequests", reported.failed),
        ("cacheHits", reported.hits),
    ):
        assert sum(each[name] for each in sums) == right, name


def test_the_api_matches_the_reported_totals(reported: Reported) -> None:
    summary = reported.client.get("/api/ai/cost?action=summary").json()
    check(reported, [summary])
    check(reported, summary["byModel"])
    check(reported, summary["byProvider"])
    assert summary["cacheHitRate"] == pytest.approx(reported.hit_rate)
    assert summary["averageLatencyMs"] == pytest.approx(reported.latency)
    for period in ("hourly", "daily", "weekly", "monthly"):
        for by in ("model", "provider", "priority", "apiKey"):
            address = f"/api/ai/cost?action=metrics&period={period}&limit=1000&by={by}"
            found = reported.client.get(address).json()["metrics"]
            if period != "hourly":  # hours are kept for a week
                check(reported, found)
                check(reported, [group for each in found for group in each["groups"]])


def test_the_page_and_its_table_match_the_reported_totals(reported: Reported) -> None:
    page = " ".join(re.sub(r"<[^>]+>", " ", reported.client.get("/costs/?range=month").text).split())
    answers = reported.requests - reported.failed
    for shown in (
        f"Spent this month {money(reported.nano)}",
        f"Calls {reported.requests} {reported.failed} failed",
        f"Answered from cache {number_format(round(reported.hit_rate, 1), 1)} % {reported.hits} of {answers} answers",
        f"Saved by caching {money(reported.saved)}",
    ):
        assert shown in page
    groups = reported.client.get("/api/ai/cost?action=summary").json()["byModel"]
    places = money_places([reported.nano, *(nano_of(group["totalCost"]) for group in groups)])
    for group in groups:
        assert f"{group['value']} {money_to(nano_of(group['totalCost']), places)}" in page
        assert duration_ms(group["averageLatencyMs"]) in page


def test_charts_and_csv_match_the_reported_totals(reported: Reported) -> None:
    spend = reported.client.get("/costs/figures/spend/?range=month").json()["data"]
    assert sum(nano_of(amount) for trace in spend for amount in trace["y"]) == reported.nano
    calls = {
        each["name"]: sum(each["y"]) for each in reported.client.get("/costs/figures/calls/?range=month").json()["data"]
    }
    assert calls == {
        "answered": reported.requests - reported.failed - reported.hits,
        "cached": reported.hits,
        "failed": reported.failed,
    }
    month = reported.client.get("/costs/figures/month/").json()["data"]
    assert nano_of(month[0]["y"][-1]) == reported.nano
    response: Any = reported.client.get("/costs/table.csv?range=month")
    rows = list(csv.DictReader(io.StringIO(b"".join(response.streaming_content).decode())))
    assert sum(nano_of(row["cost_usd"]) for row in rows) == reported.nano
    assert sum(nano_of(row["saved_usd"]) for row in rows) == reported.saved
    assert sum(int(row["requests"]) for row in rows) == reported.requests
    assert sum(int(row["cache_hits"]) for row in rows) == reported.hits


def test_the_ledger_export_matches_the_reported_totals(reported: Reported) -> None:
    response: Any = reported.client.get("/finance/exports/file/?kind=ledger&first=2026-11-01&last=2026-11-30")
    rows = list(csv.DictReader(io.StringIO(b"".join(response.streaming_content).decode())))
    column = next(name for name in rows[0] if name.startswith("cost"))
    assert sum(nano_of(row[column]) for row in rows) == reported.nano
    assert len(rows) == reported.requests


def test_the_python_api_matches_the_reported_totals(reported: Reported) -> None:
    (month,) = create_cost_optimizer().get_cost_metrics(reported.slug, "monthly", 1, by="model")
    for found in ([month], month.groups or ()):
        assert sum(each.total_cost * NANO for each in found) == reported.nano
        assert sum(each.saved_cost * NANO for each in found) == reported.saved
        assert sum(each.total_requests for each in found) == reported.requests
        assert sum(each.cache_hits for each in found) == reported.hits
    assert month.cache_hit_rate == pytest.approx(reported.hit_rate)
    assert month.average_latency_ms == pytest.approx(reported.latency)
