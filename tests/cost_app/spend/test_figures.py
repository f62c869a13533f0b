"""Charts and shares in edge cases: corrections, amounts of a few nano-dollars, and a repeated hour."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import plotly.graph_objects as go
import pytest
from django.utils import timezone

from aiinfra.tenants.models import ApiKey, Organization
from cost_app.spend.api import _breakdown, metrics_page
from cost_app.spend.figures import calls_chart, spend_chart
from cost_app.spend.payloads import MetricsQuery
from cost_app.spend.ranges import SpendView
from cost_app.spend.screens import spend
from cost_app.spend.series import Totals
from cost_app.spend.summary import summary

AddUsage = Callable[..., None]


@pytest.fixture
def today(monkeypatch: pytest.MonkeyPatch) -> date:
    now = datetime(2026, 11, 18, 12, tzinfo=UTC)
    monkeypatch.setattr(timezone, "now", lambda: now)
    return now.date()


def test_spending_of_140_nano_dollars_is_drawn_exactly(scoped: Organization, add_usage: AddUsage, today: date) -> None:
    add_usage(today, 140)
    add_usage(today, 140, "model", "openai/gpt-4")
    chart = spend_chart(scoped.pk, SpendView("7d"))
    assert chart.figure["data"][0]["y"][-1] == "0.00000014"
    go.Figure(chart.figure)


@pytest.mark.parametrize(
    ("total", "parts", "shares"),
    [
        (100, (75, 25), [75, 25]),
        (100, (300, -200), [None, None]),
        (0, (0, 0), [None, None]),
        (-5, (-2, -3), [None, None]),
    ],
)
def test_share_is_shown_only_for_a_positive_total(
    scoped: Organization, add_usage: AddUsage, today: date, total: int, parts: tuple[int, int], shares: list[int | None]
) -> None:
    add_usage(today, total)
    for number, nano in enumerate(parts):
        add_usage(today, nano, "model", f"a/{number}")
    found = {group.value: group.share for group in spend(scoped.pk, SpendView("7d")).groups}
    assert [found["a/0"], found["a/1"]] == shares


def test_failed_hit_never_makes_answered_calls_negative(scoped: Organization, add_usage: AddUsage, today: date) -> None:
    add_usage(today, 0, calls=1, errors=1, cache_hits=1)
    chart = calls_chart(scoped.pk, SpendView("7d"))
    assert {trace["name"]: trace["y"][-1] for trace in chart.figure["data"]}["answered"] == 0
    assert Totals(calls=1, errors=1, cache_hits=1).cache_hit_rate is None


@pytest.fixture
def repeated_hour(monkeypatch: pytest.MonkeyPatch, organization: Organization) -> Iterator[None]:
    """A time six hours after the clock change in autumn, in the organization's time zone, Berlin."""
    now = datetime(2026, 10, 25, 7, tzinfo=UTC)
    monkeypatch.setattr(timezone, "now", lambda: now)
    with timezone.override(ZoneInfo(organization.time_zone)):
        yield


def test_a_repeated_hour_shows_its_offset(scoped: Organization, add_usage: AddUsage, repeated_hour: None) -> None:
    for number in range(8):
        add_usage(datetime(2026, 10, 24, 23, tzinfo=UTC) + timedelta(hours=number), 10**9)
        add_usage(datetime(2026, 10, 24, 23, tzinfo=UTC) + timedelta(hours=number), 10**9, "model", "openai/gpt-4")
    chart = spend_chart(scoped.pk, SpendView("24h"))
    labels = [row[0] for row in chart.table.rows]
    assert {"Oct 25, 02:00 UTC+02:00", "Oct 25, 02:00 UTC+01:00", "Oct 25, 03:00"} <= set(labels)
    assert len(set(labels)) == len(labels)
    assert all(len(set(trace["x"])) == len(trace["x"]) for trace in chart.figure["data"])
    assert chart.figure["layout"]["xaxis"]["type"] == "category"


def test_groups_of_a_summary_add_up_to_its_total(scoped: Organization, add_usage: AddUsage, today: date) -> None:
    for number in range(9):
        add_usage(today, number + 1, "model", f"a/{number}")
    add_usage(today, 45)
    groups = _breakdown(summary(scoped.pk).by_model)
    assert [group.value for group in groups][-1] == "*"
    assert sum(Decimal(group.total_cost) for group in groups) == Decimal(45).scaleb(-9)


def test_json_has_public_key_ids_and_priority_names(scoped: Organization, add_usage: AddUsage, today: date) -> None:
    key = ApiKey.objects.create(organization=scoped, key_id="abcd1234", name="bot", role="viewer")
    add_usage(today, 1)
    add_usage(today, 1, "api_key", str(key.pk))
    add_usage(today, 1, "priority", "100")
    for by, name in (("apiKey", "abcd1234"), ("priority", "normal")):
        (day,) = metrics_page(scoped.pk, MetricsQuery(limit=1, by=by)).metrics  # type: ignore[arg-type]
        assert [group.value for group in day.groups or []] == [name]
