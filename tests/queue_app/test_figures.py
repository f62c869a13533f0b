import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from plotly import graph_objects
from pytest_django.fixtures import Settings

from aiinfra.charts import Chart
from aiinfra.redis import redis_client
from aiinfra.tenants.models import Organization, User
from aiinfra.tenants.scope import organization_scope
from cost_app.models import ModelMinute
from queue_app.models import AIRequest, Priority, QueueMinute
from queue_app.ordering import index
from queue_app.stats import depth_history, figures
from queue_app.stats.axes import stamp
from queue_app.stats.figures import CHARTS, STAFF_CHARTS
from queue_app.stats.tenant_load import TOP, top_loads
from tests.support.processes import free_port

Submit = Callable[..., AIRequest]
NOW = datetime(2026, 7, 1, 12, 30, 20, tzinfo=UTC)
ALL_CHARTS = {**CHARTS, **STAFF_CHARTS}
by_name = pytest.mark.parametrize("name", ALL_CHARTS)


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> Iterator[datetime]:
    """A fixed clock. The organization is in Berlin, two hours ahead of UTC in July."""
    monkeypatch.setattr(timezone, "now", lambda: NOW)
    with timezone.override(ZoneInfo("Europe/Berlin")):
        yield NOW


@pytest.fixture
def ended(scoped: Organization) -> Callable[..., None]:
    """Records the minute in which requests ended, `minutes_ago`."""

    def note(minutes_ago: int, priority: Priority = Priority.NORMAL, **counts: int) -> None:
        minute = (timezone.now() - timedelta(minutes=minutes_ago)).replace(second=0, microsecond=0)
        QueueMinute.objects.create(organization=scoped, minute=minute, priority=priority, **counts)
        called = {"organization": scoped, "minute": minute, "provider": "deepseek", "model": "deepseek-chat"}
        ModelMinute.objects.update_or_create(**called, defaults={"failures": counts.get("failed", 0)})

    return note


def sample(organization: Organization, seconds_ago: float, held: int = 0, **depth: int) -> None:
    """Record the queue's depth. Call it with the newest sample last."""
    depths = [depth.get(priority.name.lower(), 0) for priority in Priority]
    text = json.dumps([NOW.timestamp() - seconds_ago, depths, held])
    redis_client().lpush(f"{{aiq}}:depth_history:{organization.pk}", text)


def trace(chart: Chart, name: str) -> dict[str, list[object]]:
    found: dict[str, list[object]] = next(each for each in chart.figure["data"] if each["name"] == name)
    return found


@by_name
def test_plotly_accepts_every_figure_with_and_without_data(
    name: str, queue: None, scoped: Organization, submit: Submit, ended: Callable[..., None], now: datetime
) -> None:
    assert ALL_CHARTS[name](scoped.pk).figure["data"] == []
    ended(3, completed=4, failed=1, started=5, wait_ms=900, run_ms=5_000)
    sample(scoped, 30, high=2)
    submit()
    figure = ALL_CHARTS[name](scoped.pk).figure
    assert figure["data"]
    graph_objects.Figure(figure)


@by_name
def test_every_row_of_a_table_has_a_cell_for_each_column(
    name: str, queue: None, scoped: Organization, submit: Submit, ended: Callable[..., None], now: datetime
) -> None:
    ended(3, completed=4, failed=1, started=5, wait_ms=900, run_ms=5_000)
    sample(scoped, 30, high=2)
    submit()
    table = ALL_CHARTS[name](scoped.pk).table
    assert table.rows
    assert {len(row) for row in table.rows} == {len(table.columns)}


def test_minutes_are_local_and_empty_ones_count_zero(
    scoped: Organization, ended: Callable[..., None], now: datetime
) -> None:
    ended(2, Priority.HIGH, completed=4, failed=1)
    bars = trace(CHARTS["throughput"](scoped.pk), "high")
    assert (bars["x"][0], bars["x"][-1]) == ("2026-07-01T13:31:00", "2026-07-01T14:30:00")
    assert bars["y"] == [0] * 57 + [5, 0, 0]
    assert trace(CHARTS["errors"](scoped.pk), "high")["y"][57] == 1


def test_the_current_minute_is_pale(scoped: Organization, ended: Callable[..., None], now: datetime) -> None:
    ended(0, completed=1)
    marker = CHARTS["throughput"](scoped.pk).figure["data"][0]["marker"]
    assert marker["opacity"] == [1.0] * 59 + [figures.UNFINISHED]


def test_averages_have_gaps_where_nothing_ran(scoped: Organization, ended: Callable[..., None], now: datetime) -> None:
    ended(1, Priority.HIGH, completed=1, started=1, wait_ms=1_000, run_ms=3_000)
    ended(1, Priority.LOW, completed=3, started=3, wait_ms=9_000, run_ms=5_000)
    chart = CHARTS["times"](scoped.pk)
    assert trace(chart, "wait")["y"] == [None] * 58 + [2.5, None]
    assert trace(chart, "run")["y"] == [None] * 58 + [2.0, None]
    assert trace(chart, "wait")["connectgaps"] is False


def test_other_organizations_minutes_are_not_counted(
    other_organization: Organization, scoped: Organization, now: datetime
) -> None:
    with organization_scope(other_organization.pk):
        QueueMinute.objects.create(
            organization=other_organization, minute=NOW.replace(second=0), priority=Priority.LOW, completed=9
        )
    assert CHARTS["throughput"](scoped.pk).figure["data"] == []


def test_the_depth_is_downsampled(redis_url: str, scoped: Organization, now: datetime) -> None:
    for seconds_ago in (40, 35, 30, 25, 20, 15, 10, 5):
        sample(scoped, seconds_ago, low=seconds_ago)
    points = trace(CHARTS["depth"](scoped.pk), "low")
    assert points["y"] == [40, 25, 10, 5]
    assert points["x"][-1] == "2026-07-01T14:30:15"


def test_each_priority_has_its_color_on_every_chart(
    queue: None, scoped: Organization, submit: Submit, ended: Callable[..., None], now: datetime
) -> None:
    ended(1, completed=1, failed=1)
    sample(scoped, 5, low=1)
    submit()
    for name in ("depth", "throughput", "errors", "organizations"):
        for each in ALL_CHARTS[name](scoped.pk).figure["data"]:
            look = each.get("line") or each["marker"]
            assert look["color"] == f"var(--series-{each['name'].split()[0]})"


def test_staff_see_the_busiest_organizations_and_their_number(
    queue: None, submit: Submit, organization: Organization
) -> None:
    for number in range(TOP + 2):
        other = Organization.objects.create(slug=f"o{number}", name=f"Organization {number}")
        for _ in range(2 if number == 7 else 1):
            submit(organization_id=other.pk)
    loads, total = top_loads()
    assert (len(loads), total) == (TOP, TOP + 2)
    assert (loads[0].name, loads[0].waiting) == ("Organization 7", 2)
    table = STAFF_CHARTS["organizations"](organization.pk).table
    assert table.note.startswith(f"Showing {TOP} of {TOP + 2}")


@by_name
def test_more_requests_cost_no_more_queries(
    name: str, queue: None, scoped: Organization, submit: Submit, ended: Callable[..., None], now: datetime
) -> None:
    submit()
    ended(1, completed=1)
    with CaptureQueriesContext(connection) as few:
        ALL_CHARTS[name](scoped.pk)
    for number in range(20):
        submit()
        ended(number + 2, completed=1)
    with CaptureQueriesContext(connection) as many:
        ALL_CHARTS[name](scoped.pk)
    assert len(many) == len(few) <= 2


def test_the_browser_gets_a_figure_as_json_once(
    queue: None, viewer: User, client_of: Callable[[User], Client], now: datetime
) -> None:
    client, url = client_of(viewer), reverse("queue_figure", args=["throughput"])
    first = client.get(url)
    assert set(first.json()) == {"data", "layout"}
    assert client.get(url, headers={"If-None-Match": first.headers["ETag"]}).status_code == 304


def test_an_unknown_chart_is_not_found(queue: None, viewer: User, client_of: Callable[[User], Client]) -> None:
    assert client_of(viewer).get(reverse("queue_figure", args=["weather"])).status_code == 404


def test_a_table_is_a_page_or_a_partial(queue: None, viewer: User, client_of: Callable[[User], Client]) -> None:
    client, url = client_of(viewer), reverse("queue_figure_table", args=["throughput"])
    assert "<html" in client.get(url).text
    part = client.get(url, headers={"HX-Request": "true"}).text
    assert "<html" not in part
    assert part.count("<tr>") == 61


def test_without_redis_only_the_depth_is_unknown(
    queue: None, viewer: User, client_of: Callable[[User], Client], settings: Settings
) -> None:
    settings.REDIS_URL = f"redis://127.0.0.1:{free_port()}/0"
    client = client_of(viewer)
    assert client.get(reverse("queue_figure", args=["depth"])).status_code == 503
    assert "Unknown until Redis responds" in client.get(reverse("queue_figure_table", args=["depth"])).text
    assert client.get(reverse("queue_figure", args=["throughput"])).status_code == 200


def test_scheduler_samples_are_drawn(submit: Submit, scoped: Organization) -> None:
    submit(priority=Priority.HIGH)
    depth_history.sample_depths()
    assert trace(CHARTS["depth"](scoped.pk), "high")["y"] == [1]


def test_held_requests_are_a_separate_depth_series(queue: None, scoped: Organization, now: datetime) -> None:
    sample(scoped, 30, held=30)
    chart = figures.depth_chart(scoped.pk)
    assert trace(chart, "held for a retry")["y"] == [30]
    assert chart.table.rows[0][-2:] == [30, 30]


def test_a_sample_of_an_earlier_release_has_no_held_requests(queue: None, scoped: Organization, now: datetime) -> None:
    redis_client().lpush(f"{{aiq}}:depth_history:{scoped.pk}", json.dumps([NOW.timestamp(), [1, 0, 0, 0]]))
    assert depth_history.depth_samples(scoped.pk)[0].held == 0


def test_held_requests_are_sampled(submit: Submit, scoped: Organization) -> None:
    request = submit()
    index.remove(request)
    request.not_before = timezone.now() + timedelta(minutes=1)
    index.admit([request])
    depth_history.sample_depths()
    (newest,) = depth_history.depth_samples(scoped.pk)
    assert (newest.held, sum(newest.depth.values())) == (1, 0)


def test_failed_attempts_are_shown_by_model(
    scoped: Organization, ended: Callable[..., None], queue: None, now: datetime
) -> None:
    ended(2, failed=7, started=7)
    chart = figures.CHARTS["attempts"](scoped.pk)
    (only,) = chart.figure["data"]
    assert (only["name"], max(only["y"])) == ("deepseek/deepseek-chat", 7)


def test_every_chart_of_the_page_has_the_axis_of_the_last_hour(
    queue: None, scoped: Organization, ended: Callable[..., None], now: datetime
) -> None:
    ended(3, completed=4, failed=1, started=5, wait_ms=900, run_ms=5_000)
    ended(20, completed=4, started=4, wait_ms=900, run_ms=5_000)
    sample(scoped, 30, high=2)
    axes = {name: make(scoped.pk).figure["layout"]["xaxis"]["range"] for name, make in CHARTS.items()}
    assert set(map(tuple, axes.values())) == {("2026-07-01T13:29:50", "2026-07-01T14:30:50")}


def test_minutes_stay_in_order_when_the_clocks_go_back(monkeypatch: pytest.MonkeyPatch) -> None:
    now = datetime(2026, 10, 25, 1, 20, tzinfo=UTC)
    monkeypatch.setattr(timezone, "now", lambda: now)
    with timezone.override("Europe/Berlin"):
        places = [stamp(now - timedelta(minutes=minutes)) for minutes in (59, 30, 0)]
    assert places == ["2026-10-25T01:21:00", "2026-10-25T01:50:00", "2026-10-25T02:20:00"]
