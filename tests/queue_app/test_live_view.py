import json
import re
from collections.abc import Callable

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from pytest_django.fixtures import Settings

from aiinfra.providers import breaker
from aiinfra.redis import redis_client
from aiinfra.tenants.models import AuditEvent, Organization, User
from aiinfra.tenants.scope import organization_scope
from aiinfra.tenants.staff import StaffRight
from queue_app.models import AIRequest, Priority, QueuePolicy
from queue_app.ordering.claims import Claim
from queue_app.processing import heartbeat, outcomes
from tests.queue_app.conftest import refusal
from tests.support.processes import free_port

Submit = Callable[..., AIRequest]
Browser = Callable[[User], Client]
HTMX = {"HX-Request": "true"}


@pytest.fixture
def redis_down(settings: Settings, redis_url: str) -> None:
    """Nothing listens on Redis's port."""
    settings.REDIS_URL = f"redis://127.0.0.1:{free_port()}/0"


def beat(name: str, *, busy: int = 3, stopping: bool = False) -> None:
    """Write a worker's heartbeat."""
    now = redis_client().time()[0]
    worker_beat = heartbeat.WorkerBeat(name, "host-a", 77, 10, busy, stopping, 120_000_000, now - 65, now)
    redis_client().hset(heartbeat.WORKERS_KEY, name, json.dumps(worker_beat.__dict__))


def test_the_empty_page_explains_how_to_send_a_request(queue: None, viewer: User, client_of: Browser) -> None:
    page = client_of(viewer).get(reverse("queue_live")).text
    assert "Send your first request" in page
    assert "curl http://testserver/api/ai/queue" in page


def test_the_page_shows_waiting_requests_by_priority(submit: Submit, viewer: User, client_of: Browser) -> None:
    submit(priority=Priority.CRITICAL)
    submit(priority=Priority.LOW)
    submit(priority=Priority.LOW)
    live = client_of(viewer).get(reverse("queue_live")).context["live"]
    assert {lane.name: lane.stats.pending for lane in live.lanes} == {"critical": 1, "high": 0, "normal": 0, "low": 2}
    assert live.stats.queue_size == 3


def test_other_organizations_requests_are_not_counted(
    submit: Submit, other_organization: Organization, viewer: User, client_of: Browser
) -> None:
    submit(organization_id=other_organization.pk)
    live = client_of(viewer).get(reverse("queue_live")).context["live"]
    assert live.stats.queue_size == 0
    assert live.is_untouched


def test_htmx_gets_all_but_the_charts(queue: None, viewer: User, client_of: Browser) -> None:
    response = client_of(viewer).get(reverse("queue_live"), headers=HTMX)
    assert "<html" not in response.text
    assert "data-figure-url" not in response.text
    assert "HX-Request" in response.headers["Vary"]


def test_an_unchanged_page_is_not_sent_again(queue: None, viewer: User, client_of: Browser) -> None:
    client = client_of(viewer)
    first = client.get(reverse("queue_live"), headers=HTMX)
    again = client.get(reverse("queue_live"), headers={**HTMX, "If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_workers_are_shown_with_their_slots(queue: None, viewer: User, client_of: Browser) -> None:
    beat("one", busy=4)
    beat("two", busy=1, stopping=True)
    page = client_of(viewer).get(reverse("queue_live")).text
    assert "5 of 20 slots busy" in page
    assert "4 of 10" in page
    assert "stopping" in page
    assert "120 MB" in page


def test_page_warns_when_no_worker_is_running(queue: None, viewer: User, client_of: Browser) -> None:
    assert "no worker is running" in client_of(viewer).get(reverse("queue_live")).text


def test_an_open_circuit_is_shown_with_the_time_of_the_next_probe(
    queue: None, viewer: User, client_of: Browser, settings: Settings
) -> None:
    for _ in range(settings.BREAKER_FAILURES):
        breaker.record_failure("deepseek", "deepseek-chat")
    page = client_of(viewer).get(reverse("queue_live")).text
    assert "status-open" in page
    [wait_s] = re.findall(r"in (\d+) s\b", page)
    assert 0 < int(wait_s) <= settings.BREAKER_OPEN_S


def test_a_high_error_rate_is_colored(
    claimed: Callable[..., Claim], organization: Organization, viewer: User, client_of: Browser
) -> None:
    claim = claimed(max_retries=0)
    with organization_scope(organization.pk):
        attempt = outcomes.cost.current_attempt(claim.request.id, 1)
        outcomes.fail_attempt(claim, attempt, refusal("INVALID_REQUEST"))
    live = client_of(viewer).get(reverse("queue_live")).context["live"]
    assert (live.stats.recent.error_rate, live.error_tone) == (100, "bad")


def test_without_redis_database_figures_stay_current(
    submit: Submit, redis_down: None, viewer: User, client_of: Browser
) -> None:
    submit()
    response = client_of(viewer).get(reverse("queue_live"))
    assert "Redis is not responding" in response.text
    assert response.context["live"].stats.queue_size == 1
    assert "workers unknown" in response.text


def test_without_redis_the_last_figures_of_workers_are_kept(
    queue: None, redis_down: None, viewer: User, client_of: Browser
) -> None:
    page = client_of(viewer).get(reverse("queue_live"), headers=HTMX).text
    assert page.count("hx-preserve") == 2


def test_a_priority_is_paused_and_resumed_and_both_are_audited(
    queue: None, organization: Organization, operator: User, client_of: Browser
) -> None:
    client = client_of(operator)
    for name, paused in (("queue_pause", [500]), ("queue_resume", [])):
        response = client.post(reverse(name), {"priority": "high"})
        assert (response.status_code, response.headers["Location"]) == (302, reverse("queue_live"))
        with organization_scope(organization.pk):
            assert QueuePolicy.objects.get().paused_priorities == paused
    with organization_scope(organization.pk):
        events = AuditEvent.objects.order_by("at").values_list("actor", "verb", "target")
        assert list(events) == [
            ("user:operator", "queue.paused", "High"),
            ("user:operator", "queue.resumed", "High"),
        ]


def test_pausing_with_htmx_gives_the_new_state_and_a_toast(queue: None, operator: User, client_of: Browser) -> None:
    response = client_of(operator).post(reverse("queue_pause"), {"priority": ""}, headers=HTMX)
    assert response.text.count("badge-warn") == 4
    assert json.loads(response.headers["HX-Trigger"]) == {
        "toast": {"level": "success", "text": "All priorities are paused."}
    }


def test_pausing_without_htmx_gives_a_toast_on_the_next_page(queue: None, operator: User, client_of: Browser) -> None:
    page = client_of(operator).post(reverse("queue_pause"), {"priority": "low"}, follow=True).text
    assert "Priority low is paused." in page


def test_an_unknown_priority_changes_nothing(
    queue: None, organization: Organization, operator: User, client_of: Browser
) -> None:
    response = client_of(operator).post(reverse("queue_pause"), {"priority": "urgent"}, headers=HTMX)
    assert response.status_code == 422
    assert "Unknown priority." in response.headers["HX-Trigger"]
    with organization_scope(organization.pk):
        assert not QueuePolicy.objects.exists()


def test_members_without_permission_see_no_pause_buttons(
    queue: None, viewer: User, operator: User, client_of: Browser
) -> None:
    assert "lane-form" in client_of(operator).get(reverse("queue_live"), headers=HTMX).text
    assert "lane-form" not in client_of(viewer).get(reverse("queue_live"), headers=HTMX).text


def test_the_chart_by_organization_is_for_staff_who_operate_queues(
    queue: None, viewer: User, client_of: Browser, organization: Organization
) -> None:
    client, url = client_of(viewer), reverse("queue_figure", args=["organizations"])
    assert client.get(url).status_code == 404
    assert url not in client.get(reverse("queue_live")).text
    User.objects.filter(pk=viewer.pk).update(is_staff=True)
    assert client.get(url).status_code == 404
    viewer.user_permissions.add(Permission.objects.get(codename=StaffRight.OPERATE_QUEUES))
    assert client.get(url).status_code == 200
    assert url in client.get(reverse("queue_live")).text


def test_more_requests_cost_no_more_queries(submit: Submit, viewer: User, client_of: Browser) -> None:
    client = client_of(viewer)
    submit()
    with CaptureQueriesContext(connection) as few:
        client.get(reverse("queue_live"))
    for _ in range(49):
        submit()
    with CaptureQueriesContext(connection) as many:
        client.get(reverse("queue_live"))
    assert len(many) == len(few)
