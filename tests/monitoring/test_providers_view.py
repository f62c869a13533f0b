"""`/providers/`: the state of each model for members of an organization."""

from collections.abc import Callable
from datetime import datetime
from types import SimpleNamespace

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from plotly import graph_objects
from pytest_django.fixtures import Settings

from aiinfra.monitoring.providers import figures as provider_figures
from aiinfra.monitoring.providers.figures import latency_chart
from aiinfra.monitoring.providers.screens import ModelRow, providers
from aiinfra.providers import breaker
from aiinfra.redis import redis_client
from aiinfra.tenants.models import Organization, User
from aiinfra.tenants.scope import organization_scope
from cost_app.ledger import rollups
from cost_app.models import ProviderLimit
from queue_app.models import AIRequest
from queue_app.ordering import provider_limits
from queue_app.ordering.claims import claim_next
from queue_app.processing.provider_call import process
from tests.queue_app.conftest import (  # noqa: F401 - fixtures
    ScriptedProvider,
    answer,
    no_fallback,
    provider,
    queue,
    refusal,
    submit,
)
from tests.support.processes import free_port

pytestmark = pytest.mark.usefixtures("no_fallback")
Submit = Callable[..., AIRequest]
Browser = Callable[[User], Client]
HTMX = {"HX-Request": "true"}


@pytest.fixture(autouse=True)
def _no_limits(db: None, settings: Settings) -> None:
    ProviderLimit.objects.all().delete()
    settings.PROVIDER_API_KEYS = {"openai": "", "deepseek": "", "anthropic": ""}


@pytest.fixture
def make_calls(submit: Submit, provider: ScriptedProvider, settings: Settings) -> Callable[..., None]:  # noqa: F811
    """Makes calls with the scripted results."""
    settings.RETRY_BASE_S = settings.RETRY_MAX_S = (
        1_000_000  # the random delay is long enough that no retry starts during the test
    )

    def make(*script: object, **fields: object) -> None:
        provider.script = list(script)  # type: ignore[arg-type]
        for _ in script:
            submit(**fields)
        while claim := claim_next("worker"):
            process(claim)
        rollups.fold()

    return make


MakeCalls = Callable[..., None]


def row_of(organization: Organization, model: str = "deepseek-chat") -> ModelRow:
    with organization_scope(organization.pk):
        return next(row for row in providers().rows if row.model == model)


def test_healthy_model_shows_latency_and_no_error(make_calls: MakeCalls, organization: Organization) -> None:
    make_calls(answer(), answer())
    row = row_of(organization)
    assert (row.state, row.performance.calls, row.performance.error_rate, list(row.errors)) == ("healthy", 2, 0, [])
    assert row.performance.p95 is not None


def test_failing_model_is_listed_first_with_its_errors(
    make_calls: MakeCalls, organization: Organization, viewer: User, client_of: Browser
) -> None:
    make_calls(answer(), provider="anthropic", model="claude-haiku-4-5")
    make_calls(*[refusal("SERVER_ERROR")] * 6)
    row = row_of(organization)
    assert (row.state, row.held, row.circuit and row.circuit.state) == ("failing", 6, "open")
    (error,) = row.errors
    assert (error.code, error.message, error.count) == ("SERVER_ERROR", "it said SERVER_ERROR", 5)
    page = client_of(viewer).get(reverse("providers"))
    assert [each.model for each in page.context["providers"].rows] == ["deepseek-chat", "claude-haiku-4-5"]
    assert "failed=deepseek%2Fdeepseek-chat&amp;error=SERVER_ERROR" in page.text
    assert "6 held for a retry" in page.text


def test_limit_usage_is_shown_in_percent_and_in_calls_only_to_staff(
    submit: Submit,  # noqa: F811
    organization: Organization,
    viewer: User,
    owner: User,
    client_of: Browser,
) -> None:
    ProviderLimit.objects.create(provider="deepseek", requests_per_minute=4, changed_by="user:staff")
    provider_limits.enter_limits()
    for _ in range(5):
        submit()
    for _ in range(4):
        claim_next("worker")
    row = row_of(organization)
    assert row.use is not None
    assert (row.use.percent, row.use_tone, row.limited, row.is_shared) == (100, "bad", 1, True)
    page = client_of(viewer).get(reverse("providers")).text
    assert "100% in use" in page and "(4 calls)" not in page
    owner.is_staff = owner.is_superuser = True
    owner.save()
    assert "(4 calls)" in client_of(owner).get(reverse("providers")).text


def test_a_shipped_limit_is_shown_as_not_applied_to_the_sandbox(
    queue: None,  # noqa: F811
    viewer: User,
    client_of: Browser,
) -> None:
    ProviderLimit.objects.create(provider="openai", model="gpt-4", requests_per_minute=500, expected_latency_ms=1_800)
    page = client_of(viewer).get(reverse("providers")).text
    assert "500 / min" in page and "not applied to the sandbox" in page and "expected 1.80 s" in page


def test_page_without_calls_says_so(queue: None, viewer: User, client_of: Browser) -> None:  # noqa: F811
    page = client_of(viewer).get(reverse("providers")).text
    assert "No calls yet" in page


def test_page_without_redis_shows_other_data(
    make_calls: MakeCalls, viewer: User, client_of: Browser, settings: Settings
) -> None:
    make_calls(answer())
    settings.REDIS_URL = f"redis://127.0.0.1:{free_port()}/0"
    page = client_of(viewer).get(reverse("providers")).text
    assert "Redis is not responding" in page
    assert "deepseek-chat" in page and "unknown" in page


def test_calls_of_other_organizations_are_not_shown(make_calls: MakeCalls, stranger: User, client_of: Browser) -> None:
    make_calls(answer(), *[refusal("SERVER_ERROR")] * 6)
    assert "deepseek-chat" not in client_of(stranger).get(reverse("providers")).text


def test_htmx_request_gets_no_chart_and_304_if_unchanged(
    make_calls: MakeCalls, viewer: User, client_of: Browser
) -> None:
    make_calls(answer())
    client = client_of(viewer)
    response = client.get(reverse("providers"), headers=HTMX)
    assert "<html" not in response.text and "data-figure-url" not in response.text
    again = client.get(reverse("providers"), headers={**HTMX, "If-None-Match": response.headers["ETag"]})
    assert again.status_code == 304


@pytest.mark.parametrize("name", ["providers", "provider_latency", "provider_latency_table"])
def test_the_page_requires_login_and_get(
    name: str, viewer: User, client_of: Browser, client: Client, redis_url: str
) -> None:
    assert client.get(reverse(name)).status_code == 302
    assert client_of(viewer).post(reverse(name)).status_code == 405


def test_page_runs_the_same_number_of_queries_with_more_models(
    make_calls: MakeCalls, viewer: User, client_of: Browser
) -> None:
    client = client_of(viewer)
    make_calls(answer())
    client.get(reverse("providers"))

    def queries() -> int:
        with CaptureQueriesContext(
            connection,
        ) as seen:
            client.get(reverse("providers"))
        return len(seen)

    one = queries()
    for model in ("deepseek-flash", "deepseek-v4-flash", "deepseek-v4-pro"):
        make_calls(answer(), refusal("SERVER_ERROR"), model=model)
    assert queries() == one


def test_latency_chart_and_table_include_each_model(make_calls: MakeCalls, organization: Organization) -> None:
    make_calls(answer())
    make_calls(answer(), provider="openai", model="gpt-4")
    with organization_scope(organization.pk):
        chart = latency_chart()
    assert [trace["name"] for trace in chart.figure["data"]] == ["deepseek/deepseek-chat", "openai/gpt-4"]
    graph_objects.Figure(chart.figure)
    assert len(chart.table.rows) == 24
    assert {len(row) for row in chart.table.rows} == {len(chart.table.columns)}


@pytest.mark.parametrize(
    ("zone", "day"),
    [
        ("Europe/Berlin", "2026-10-25"),
        ("Europe/Berlin", "2026-03-29"),
        ("America/New_York", "2026-11-01"),
        ("Australia/Lord_Howe", "2026-04-05"),
        ("Asia/Kathmandu", "2028-02-29"),
    ],
)
def test_chart_hours_are_distinct_across_clock_changes(monkeypatch: pytest.MonkeyPatch, zone: str, day: str) -> None:
    now = datetime.fromisoformat(f"{day}T12:00Z")
    monkeypatch.setattr(timezone, "now", lambda: now)
    answered = SimpleNamespace(provider="deepseek", model="deepseek-chat", p95=900)
    monkeypatch.setattr(provider_figures, "cost", SimpleNamespace(performance_by_hour=lambda _: {now: [answered]}))
    with timezone.override(zone):
        chart = latency_chart()
    (trace,) = chart.figure["data"]
    assert len(set(trace["x"])) == len({row[0] for row in chart.table.rows}) == 24


def test_an_open_circuit_is_shown_with_its_probe(
    make_calls: MakeCalls, viewer: User, client_of: Browser, settings: Settings
) -> None:
    make_calls(answer())
    for _ in range(settings.BREAKER_FAILURES):
        breaker.record_failure("deepseek", "deepseek-chat")
    page = client_of(viewer).get(reverse("providers")).text
    assert "status-open" in page and "next probe in" in page


@pytest.mark.parametrize(
    ("failing", "note"),
    [
        (["own"], "Only calls from your organization are on hold."),
        (["other"], "Only calls from one other organization are on hold."),
        (["own", "other"], "Calls from all organizations are on hold."),
    ],
)
def test_an_open_circuit_shows_the_affected_organizations(
    make_calls: MakeCalls,
    viewer: User,
    client_of: Browser,
    settings: Settings,
    organization: Organization,
    other_organization: Organization,
    failing: list[str],
    note: str,
) -> None:
    make_calls(answer())
    redis_client().delete("aiinfra:breaker:states")
    ids = {"own": organization.pk, "other": other_organization.pk}
    for number in range(settings.BREAKER_FAILURES):
        breaker.record_failure("deepseek", "deepseek-chat", ids[failing[number % len(failing)]])
    assert note in client_of(viewer).get(reverse("providers")).text
