"""`/metrics`: permissions, and the metrics recorded by requests."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from wsgiref.util import setup_testing_defaults

import pytest
import yaml
from django.http import HttpResponse
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families
from pytest_django import DjangoCaptureOnCommitCallbacks
from pytest_django.fixtures import Settings

from aiinfra.metrics import files, reading, recorded
from aiinfra.metrics.files import MetricFiles
from aiinfra.monitoring.metrics import wsgi
from aiinfra.monitoring.metrics.state import state_metrics
from aiinfra.providers import breaker
from aiinfra.tenants.authorization import Role
from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope
from cost_app import create_cost_optimizer
from cost_app.ledger.entries import book_entry
from cost_app.models import LedgerEntry, LedgerKind
from queue_app.models import Status
from queue_app.stats.outcome_counts import count_ended
from tests.api.support import METRICS, QUEUE, Caller, error_of, queries_of

TOKEN = "t" * 32
RESPONSES = "aiinfra_api_responses_total"
Samples = dict[tuple[str, ...], float]


@pytest.fixture(autouse=True)
def _files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    monkeypatch.setattr(reading, "directory", tmp_path)
    monkeypatch.setattr(files, "_files", MetricFiles(tmp_path))
    settings.METRICS_TOKEN = TOKEN


@pytest.fixture
def prometheus() -> Caller:
    """A caller with the metrics token of the installation."""
    return Caller(key=TOKEN)


def parsed(response: HttpResponse) -> Samples:
    """Values by name and labels, such as ("aiinfra_queue_depth", "organization=north", "priority=low")."""
    assert response.status_code == 200, response.content
    assert response["Content-Type"].startswith("text/plain; version=")
    families = text_string_to_metric_families(response.content.decode())
    return {
        (each.name, *(f"{label}={value}" for label, value in sorted(each.labels.items()))): each.value
        for family in families
        for each in family.samples
    }


def owners(found: Samples) -> set[str]:
    return {part for labels in found for part in labels if part.startswith("organization=")}


@pytest.fixture
def recorded_metrics(
    organization: Organization,
    other_organization: Organization,
    waiting: Callable[..., None],
    worker: Callable[..., None],
) -> None:
    """Recorded metrics of both organizations, and a waiting request and a budget of north."""
    for owner in (organization, other_organization):
        recorded.booked((owner.pk, "openai", f"model-of-{owner.slug}"), 1_500_000_000, {"input": 10})
        create_cost_optimizer().set_budget(owner.slug, {"period": "monthly", "limit": 20})
    waiting(30)
    worker(slots=4, busy=1)
    breaker.record_failure("openai", "gpt-4")


@pytest.mark.usefixtures("recorded_metrics")
def test_key_reads_metrics_of_its_own_organization(program: Caller) -> None:
    response = program.get(METRICS)
    found = parsed(response)
    assert owners(found) == {"organization=north"}
    assert b"south" not in response.content
    spend = ("aiinfra_spend_dollars_total", "model=model-of-north", "organization=north", "provider=openai")
    assert found[spend] == 1.5
    lane = ("organization=north", "priority=normal")
    assert found["aiinfra_queue_depth", *lane] == 1
    assert found["aiinfra_queue_oldest_age_seconds", *lane] >= 30
    assert found["aiinfra_worker_slots_busy",] == 1
    assert found["aiinfra_breaker_state", "model=gpt-4", "provider=openai"] == 0
    assert abs(found["aiinfra_redis_clock_skew_seconds",]) < 60
    (left,) = [value for labels, value in found.items() if labels[0] == "aiinfra_budget_remaining_dollars"]
    assert left == 20


@pytest.mark.usefixtures("recorded_metrics")
def test_token_reads_metrics_of_every_organization(prometheus: Caller) -> None:
    assert owners(parsed(prometheus.get(METRICS))) == {"organization=north", "organization=south"}


@pytest.mark.usefixtures("recorded_metrics")
def test_other_callers_cannot_read_metrics(key_of: Callable[..., Caller], browser: Caller, settings: Settings) -> None:
    assert error_of(Caller().get(METRICS))["type"] == "unauthorized"
    assert Caller(key="t" * 31).get(METRICS).status_code == 401
    assert key_of(Role.OWNER, ["queue:read"]).get(METRICS).status_code == 403
    assert owners(parsed(browser.get(METRICS))) == {"organization=north"}
    settings.METRICS_TOKEN = ""
    assert Caller(key=TOKEN).get(METRICS).status_code == 401
    assert Caller(key="").get(METRICS).status_code == 401


def test_token_reads_metrics_by_ip_address_without_tls(prometheus: Caller, settings: Settings) -> None:
    settings.ALLOWED_HOSTS, settings.SECURE_SSL_REDIRECT = ["ai.example.com"], True
    prometheus.headers["Host"] = "10.0.0.1:8000"
    assert parsed(prometheus.get(METRICS))
    assert Caller(key="t" * 31).client.get(METRICS, headers={"Host": "10.0.0.1:8000"}).status_code == 400


@pytest.mark.usefixtures("recorded_metrics")
def test_host_without_a_web_server_serves_only_its_recorded_metrics(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wsgi, "close_old_connections", lambda: None)  # keeps the connection of the test's transaction
    settings.ALLOWED_HOSTS = ["ai.example.com"]
    statuses: list[str] = []

    def serve(**environ: str) -> str:
        setup_testing_defaults(environ)
        body = wsgi.application(environ, lambda status, _headers: statuses.append(status))
        return b"".join(body).decode()

    found = serve(HTTP_AUTHORIZATION=f"Bearer {TOKEN}", HTTP_HOST="10.0.0.1:9400")
    assert {"organization=north", "organization=south"} == {
        f"organization={slug}" for slug in re.findall(r'organization="(\w+)"', found)
    }
    assert "aiinfra_spend_dollars_total" in found
    assert "aiinfra_queue_depth" not in found
    assert serve(HTTP_AUTHORIZATION=f"Bearer {TOKEN}", REQUEST_METHOD="HEAD") == ""
    assert serve() == "unauthorized\n"
    assert serve(HTTP_AUTHORIZATION=f"Bearer {TOKEN}", REQUEST_METHOD="POST") == "unauthorized\n"
    assert statuses == ["200 OK", "200 OK", "401 Unauthorized", "401 Unauthorized"]


def test_api_responses_are_counted_by_endpoint_and_status(program: Caller, prometheus: Caller) -> None:
    program.get(QUEUE, action="stats")
    Caller().get(QUEUE, action="stats")
    Caller(key="wrong").get(QUEUE, action="stats")
    program.get("/api/ai/nothing")
    program.get("/login/")
    found = {key[1:]: count for key, count in parsed(prometheus.get(METRICS)).items() if key[0] == RESPONSES}
    assert found == {
        (f"endpoint={QUEUE}", "status=200"): 1,
        (f"endpoint={QUEUE}", "status=401"): 2,
        ("endpoint=other", "status=404"): 1,
    }
    assert RESPONSES not in {name for name, *_ in parsed(program.get(METRICS))}


def test_metrics_are_read_only(prometheus: Caller, program: Caller) -> None:
    assert (prometheus.method("POST", METRICS).status_code, program.method("POST", METRICS).status_code) == (401, 405)


def test_other_metrics_are_available_without_redis(
    prometheus: Caller, settings: Settings, waiting: Callable[..., None]
) -> None:
    waiting(5)
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    found = {name for name, *_ in parsed(prometheus.get(METRICS))}
    assert "aiinfra_queue_depth" in found
    assert "aiinfra_workers" not in found


def test_query_count_does_not_grow_with_requests(prometheus: Caller, waiting: Callable[..., None]) -> None:
    waiting(1)
    few = queries_of(lambda: prometheus.get(METRICS))
    for _ in range(5):
        waiting(1)
    assert queries_of(lambda: prometheus.get(METRICS)) == few


@pytest.mark.django_db(transaction=True)
def test_a_booking_survives_a_metric_that_fails(organization: Organization, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorded, "booked", lambda *_: 1 / 0)
    call = {"organization_id": organization.pk, "provider": "openai", "model": "gpt-4", "calls": 1, "nano": 1}
    with organization_scope(organization.pk):
        entry = book_entry(**call, kind=LedgerKind.USAGE)
        assert LedgerEntry.objects.get() == entry


def test_booked_calls_are_recorded_after_the_commit(
    organization: Organization,
    prometheus: Caller,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    entry = {"organization_id": organization.pk, "provider": "openai", "model": "gpt-4"}
    usage = {"kind": LedgerKind.USAGE, "calls": 1, "input_tokens": 20, "output_tokens": 5, "latency_ms": 1500}
    with organization_scope(organization.pk), django_capture_on_commit_callbacks(execute=True):
        book_entry(**entry, **usage, nano=3_000_000)
        book_entry(**entry, kind=LedgerKind.FAILED, calls=1, errors=1, nano=0)
        book_entry(**entry, kind=LedgerKind.USAGE, calls=1, errors=1, estimated=True, nano=1_000_000)
        book_entry(**entry, kind=LedgerKind.CACHE_HIT, calls=1, saved_nano=2_000_000, nano=0)
        book_entry(**entry, kind=LedgerKind.EXTERNAL, calls=1, nano=500_000)
        book_entry(**entry, kind=LedgerKind.USAGE, calls=0, nano=500_000)  # a correction of an earlier entry
        assert not [name for name, *_ in parsed(prometheus.get(METRICS)) if name.startswith("aiinfra_attempts")]
    found = parsed(prometheus.get(METRICS))
    model = ("model=gpt-4", "organization=north")
    outcomes = {each[4]: value for each, value in found.items() if each[0] == "aiinfra_attempts_total"}
    assert outcomes == {"outcome=success": 1, "outcome=failure": 1, "outcome=unknown": 1}
    assert found["aiinfra_spend_dollars_total", *model, "provider=openai"] == 0.005
    assert found["aiinfra_cache_saved_dollars_total", *model, "provider=openai"] == 0.002
    assert found["aiinfra_tokens_total", *model, "provider=openai", "type=input"] == 20
    assert found["aiinfra_provider_latency_seconds_sum", *model, "provider=openai"] == 1.5
    assert found["aiinfra_provider_latency_seconds_count", *model, "provider=openai"] == 1


def test_ended_requests_are_recorded_with_their_durations(
    prometheus: Caller,
    waiting: Callable[..., None],
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    for status in (Status.COMPLETED, Status.FAILED):
        waiting(100, status=status, completed_at=timezone.now(), started_at=timezone.now())
    with django_capture_on_commit_callbacks(execute=True):
        assert count_ended() == 2
        assert count_ended() == 0
    found = parsed(prometheus.get(METRICS))
    lane = ("organization=north", "priority=normal")
    assert found["aiinfra_requests_total", *lane, "status=failed"] == 1
    assert found["aiinfra_request_duration_seconds_count", *lane, "status=completed"] == 1
    assert found["aiinfra_queue_wait_seconds_sum", *lane] >= 180


ROOT = Path(__file__).resolve().parents[2]
SUFFIXES = ("_bucket", "_sum", "_count", "_total")
ARTIFACTS = ("deploy/grafana/aiinfra.json", "deploy/prometheus/alerts.yml")


def exported() -> set[str]:
    """The exported name of every metric, recorded or read."""
    names = {each.name for each in vars(recorded).values() if isinstance(each, recorded._Recorded)}
    read = {each.name for each in state_metrics({}, None)}
    return {name.replace("_nano_dollars", "_dollars") for name in names} | read


def without_suffix(name: str) -> str:
    return next((name.removesuffix(each) for each in SUFFIXES if name.endswith(each)), name)


def named_in(path: str) -> set[str]:
    found = re.findall(r"\baiinfra_[a-z_]+", (ROOT / path).read_text(encoding="utf-8"))
    return {without_suffix(name) for name in found}


@pytest.mark.parametrize("path", ARTIFACTS)
def test_dashboard_and_alert_rules_use_exported_metrics(path: str) -> None:
    names = named_in(path)
    assert names and names <= exported()


def test_every_metric_is_documented_and_on_the_dashboard() -> None:
    assert named_in("docs/metrics.md") == exported()
    assert named_in("deploy/grafana/aiinfra.json") == exported() - {"aiinfra_budget_limit_dollars"}


def test_dashboard_and_alert_rules_are_valid() -> None:
    board = json.loads((ROOT / ARTIFACTS[0]).read_text(encoding="utf-8"))
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    assert all(target["expr"] for panel in board["panels"] for target in panel["targets"])
    (group,) = yaml.safe_load((ROOT / ARTIFACTS[1]).read_text(encoding="utf-8"))["groups"]
    assert all(rule["expr"] and rule["annotations"]["summary"] for rule in group["rules"])


def test_alert_rule_detects_a_redis_outage(prometheus: Caller, settings: Settings) -> None:
    (group,) = yaml.safe_load((ROOT / ARTIFACTS[1]).read_text(encoding="utf-8"))["groups"]
    (absent,) = {name for rule in group["rules"] for name in re.findall(r"absent\((\w+)\)", rule["expr"])}
    assert (absent,) in parsed(prometheus.get(METRICS))
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    assert (absent,) not in parsed(prometheus.get(METRICS))
