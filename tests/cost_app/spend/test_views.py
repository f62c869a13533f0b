"""`/costs/`: tiles, charts, tables, CSV, and settings."""

import csv
import io
from collections.abc import Callable
from datetime import timedelta
from urllib.parse import unquote

import plotly.graph_objects as go  # type: ignore[import-untyped]
import pytest
from django.http import HttpResponse
from django.test import Client
from django.utils.formats import date_format
from django.utils.html import strip_tags

from aiinfra.providers.base import TokenUsage
from aiinfra.tenants.authorization import Role
from aiinfra.tenants.models import AuditEvent, Organization, User
from aiinfra.tenants.scope import organization_scope
from cost_app.budgets.manage import set_budget
from cost_app.budgets.terms import BudgetTerms
from cost_app.ledger.rollups import fold
from cost_app.ledger.tracking import track_request
from cost_app.models import CostPolicy
from cost_app.spend.figures import CHARTS
from cost_app.spend.ranges import GROUPS, RANGES, SpendView
from tests.support.dates import current_day

AddUsage = Callable[..., None]
ClientOf = Callable[[User], Client]
RULES = {
    "unpriced_models": "warn",
    "bound_mode": "normal",
    "month_starts_on": "5",
    "spike_percent": "150",
    "hourly_days": "3",
    "daily_days": "60",
    "weekly_weeks": "20",
    "monthly_months": "12",
    "spike_floor": "2.50",
    "allowed": "deepseek/deepseek-chat simple\nopenai/gpt-4",
}


@pytest.fixture
def spent(add_usage: AddUsage, organization: Organization) -> None:
    """Spending on two models over three days."""
    today = current_day()
    for back in range(3):
        day = today - timedelta(days=back)
        add_usage(day, 3 * 10**9)
        add_usage(day, 2 * 10**9, "provider", "openai")
        add_usage(day, 2 * 10**9, "model", "openai/gpt-4")
        add_usage(day, 10**9, "model", "=cmd()/x")


def test_the_page_breaks_down_spending(spent: None, viewer: User, client_of: ClientOf) -> None:
    page = client_of(viewer).get("/costs/").content.decode()
    assert "openai/gpt-4" in page
    assert "$9.00" in page
    assert "67%" in page


def test_the_empty_page_explains_costs(viewer: User, client_of: ClientOf) -> None:
    page = client_of(viewer).get("/costs/?range=nonsense&by=nothing").content.decode()
    assert "Nothing was spent in this range" in page
    assert "/first-call/" in page.partition("<main")[2]


@pytest.mark.parametrize("name", list(CHARTS))
def test_charts_are_valid_plotly_figures(spent: None, scoped: Organization, name: str) -> None:
    for days in RANGES:
        chart = CHARTS[name](scoped.pk, SpendView(days, "user" if name == "calls" else "model"))
        go.Figure(chart.figure)
        assert all(len(row) == len(chart.table.columns) for row in chart.table.rows)


@pytest.mark.parametrize("by", list(GROUPS))
def test_every_spend_chart_matches_its_table(spent: None, add_usage: AddUsage, scoped: Organization, by: str) -> None:
    chart = CHARTS["spend"](scoped.pk, SpendView("7d", by))
    assert len(chart.figure["data"]) == len(chart.table.columns) - 2


def words(page: HttpResponse) -> str:
    return " ".join(strip_tags(page.content.decode()).split())


@pytest.mark.parametrize(
    ("query", "cost"),
    [
        ("range=7d", "Spent $9.00"),
        ("from={0}&to={1}", "Spent $6.00"),
        ("from={1}&to={0}", "Spent $6.00"),
        ("only=model:openai/gpt-4", "Spent $6.00"),
        ("only=provider:openai&from={1}&to={1}", "Spent $2.00"),
        ("only=key:nonsense&from=never", "Spent $9.00"),
        ("only=key:99999999999999999999", "Spent $9.00"),  # above 64 bits
        ("only=tag:unknown", "Spent $0.00"),
    ],
)
def test_tiles_follow_range_dates_and_filter(
    spent: None, viewer: User, client_of: ClientOf, query: str, cost: str
) -> None:
    today = current_day()
    dates = (today - timedelta(days=2), today - timedelta(days=1))
    assert cost in words(client_of(viewer).get(f"/costs/?{query.format(*dates)}"))


def test_comparison_shows_the_previous_days_and_the_change(
    add_usage: AddUsage, spent: None, viewer: User, client_of: ClientOf
) -> None:
    today = current_day()
    before = today - timedelta(days=7)
    add_usage(before, 6 * 10**9)
    add_usage(before, 4 * 10**9, "model", "openai/gpt-4")
    page = words(client_of(viewer).get("/costs/?range=7d&compare=1"))
    assert "+50% compared with $6.00" in page
    assert f"Compared with the 7 days before: {date_format(today - timedelta(days=13), 'M j, Y')}" in page
    assert "openai/gpt-4 $6.0000 $4.0000 +50% 67%" in page


def test_provider_links_to_its_models_and_models_link_to_their_requests(
    spent: None, viewer: User, client_of: ClientOf
) -> None:
    today = current_day()
    client = client_of(viewer)
    assert (
        'href="?range=7d&amp;by=model&amp;only=provider%3Aopenai"'
        in client.get("/costs/?range=7d&by=provider").content.decode()
    )
    page = client.get(f"/costs/?only=provider:openai&from={today}&to={today}").content.decode()
    assert "=cmd()/x" not in page.split("<tbody>")[1]
    link = unquote(page.split("/queue/requests/?since=")[1].split('"')[0])
    until = f"{today + timedelta(days=1)}T00:00"
    assert link == f"{today}T00:00&amp;until={until}&amp;provider=openai&amp;model=gpt-4"


def test_tag_shares_are_explained_if_calls_count_twice(add_usage: AddUsage, viewer: User, client_of: ClientOf) -> None:
    today = current_day()
    for dimension, value in (("total", ""), ("tag", "a"), ("tag", "b")):
        add_usage(today, 10**9, dimension, value)
    page = words(client_of(viewer).get("/costs/?by=tag"))
    assert "A call with several tags counts under each of them" in page
    assert page.index("100%") < page.index("Total")


def test_figures_and_tables_have_urls(spent: None, viewer: User, client_of: ClientOf) -> None:
    client = client_of(viewer)
    assert client.get("/costs/figures/spend/?range=7d").json()["data"]
    assert "openai/gpt-4" in client.get("/costs/figures/spend/table/").content.decode()
    for address in ("/costs/figures/nothing/", "/costs/figures/nothing/table/"):
        assert client.get(address).status_code == 404


def test_csv_file_matches_the_page_and_escapes_formulas(spent: None, viewer: User, client_of: ClientOf) -> None:
    response = client_of(viewer).get("/costs/table.csv?range=7d")
    rows = list(csv.DictReader(io.StringIO(b"".join(response.streaming_content).decode())))  # type: ignore[attr-defined]
    assert {row["group"] for row in rows} == {"openai/gpt-4", "'=cmd()/x"}
    assert {row["cost_usd"] for row in rows} == {"2.00", "1.00"}
    assert {row["period_start"][10:16] for row in rows} == {"T00:00"}


def test_page_runs_a_limited_number_of_queries(
    add_usage: AddUsage, viewer: User, client_of: ClientOf, django_assert_max_num_queries: Callable[..., object]
) -> None:
    client = client_of(viewer)
    for back in range(60):
        add_usage(current_day() - timedelta(days=back), 10**9)
        add_usage(current_day() - timedelta(days=back), 10**9, "api_key", str(back))
    with django_assert_max_num_queries(22):  # type: ignore[attr-defined]
        assert client.get("/costs/?by=key").status_code == 200


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
def test_cost_settings_require_the_finance_role(
    member_of: Callable[[Role], User], client_of: ClientOf, role: Role
) -> None:
    client = client_of(member_of(role))
    assert client.get("/costs/settings/").status_code == client.post("/costs/settings/", RULES).status_code == 403


def test_finance_can_change_the_cost_settings(finance: User, organization: Organization, client_of: ClientOf) -> None:
    client = client_of(finance)
    assert client.get("/costs/settings/").status_code == 200
    assert client.post("/costs/settings/", RULES).status_code == 302
    with organization_scope(organization.pk):
        policy = CostPolicy.objects.get()
        event = AuditEvent.objects.get(verb="cost_policy.changed")
    assert (policy.unpriced_models, policy.month_starts_on, policy.spike_floor_nano) == ("warn", 5, 2_500_000_000)
    assert policy.allowed_models[0] == {"provider": "deepseek", "model": "deepseek-chat", "classes": ["simple"]}
    assert event.changes["month_starts_on"] == [1, 5]
    assert "deepseek/deepseek-chat simple" in client.get("/costs/settings/").content.decode()


@pytest.mark.parametrize(
    "wrong",
    [{"month_starts_on": "29"}, {"allowed": "nobody/none"}, {"allowed": "openai/gpt-4 clever"}, {"spike_floor": "-1"}],
)
def test_invalid_cost_setting_is_rejected(
    finance: User, organization: Organization, client_of: ClientOf, wrong: dict[str, str]
) -> None:
    assert client_of(finance).post("/costs/settings/", {**RULES, **wrong}).status_code == 422
    with organization_scope(organization.pk):
        assert not CostPolicy.objects.exists()


@pytest.mark.parametrize(
    ("from_now", "note"),
    [(False, "of $100.00, $99.99 free"), (True, "its budget has counted $0.00 of $100.00")],
    ids=["whole month", "from now"],
)
def test_month_tile_shows_the_budget_s_spending(
    organization: Organization, viewer: User, client_of: ClientOf, from_now: bool, note: str
) -> None:
    terms = BudgetTerms(period="monthly", limit_nano=100 * 10**9)
    with organization_scope(organization.pk):
        usage = TokenUsage(input=100_000)
        cost = track_request(organization.pk, "deepseek", "deepseek-chat", usage).cost_nano
        set_budget(organization_id=organization.pk, terms=terms, actor="user:finance", from_now=from_now)
    fold()
    page = " ".join(client_of(viewer).get("/costs/").content.decode().split())
    assert (cost, note in page) == (14_000_000, True)
