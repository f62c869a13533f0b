"""The queue's figures as live events."""

from collections.abc import Callable

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django.fixtures import Settings
from redis.exceptions import RedisError

from aiinfra import live_events
from aiinfra.live_events import events_after, mark_listening, newest_id
from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope, system_scope
from queue_app import control
from queue_app.models import AIRequest, Priority, QueuePolicy
from queue_app.ordering.claims import Claim
from queue_app.stats.events import QueueEvent, publish_queue_figures
from queue_app.stats.summary import queue_stats
from tests.support.processes import free_port

Submit = Callable[..., AIRequest]


class Published:
    """Reads an organization's new queue events."""

    def __init__(self, organization: Organization) -> None:
        self._organization_id = organization.pk
        self._since = newest_id(organization.pk)

    def queue(self) -> list[QueueEvent]:
        events, is_whole = events_after(self._organization_id, self._since)
        assert is_whole
        self._since = newest_id(self._organization_id)
        return [QueueEvent.model_validate_json(each.data) for each in events if each.type == "queue"]


def test_the_figures_match_the_json_api(
    submit: Submit, claimed: Callable[..., Claim], organization: Organization
) -> None:
    claimed(priority=Priority.CRITICAL)
    submit(priority=Priority.HIGH)
    submit(priority=Priority.LOW)
    published = Published(organization)
    mark_listening(organization.pk)
    publish_queue_figures()
    (event,) = published.queue()
    with organization_scope(organization.pk):
        stats = queue_stats()
    assert (event.queue_size, event.processing) == (stats.queue_size, stats.processing) == (2, 1)
    assert event.by_priority.model_dump() == {"critical": 0, "high": 1, "normal": 0, "low": 1}


def test_only_changes_send_events(submit: Submit, organization: Organization) -> None:
    published = Published(organization)
    mark_listening(organization.pk)
    for _ in range(3):
        publish_queue_figures()
    assert len(published.queue()) == 1
    submit()
    for _ in range(3):
        publish_queue_figures()
    assert [event.queue_size for event in published.queue()] == [1]
    with organization_scope(organization.pk):
        control.pause(organization.pk, Priority.LOW, actor="test")
    publish_queue_figures()
    assert [event.paused for event in published.queue()] == [["low"]]


def test_nothing_is_counted_for_an_organization_without_a_client(submit: Submit, organization: Organization) -> None:
    submit()
    published = Published(organization)
    with CaptureQueriesContext(connection) as queries:
        publish_queue_figures()
    assert (len(queries), published.queue()) == (0, [])


def test_an_organization_without_clients_is_dropped(
    submit: Submit, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_events, "LISTENING_S", -1)
    mark_listening(organization.pk)
    assert live_events.listening() == []


def test_organizations_cost_no_further_queries(
    submit: Submit, organization: Organization, other_organization: Organization
) -> None:
    counts = []
    for each in (organization, other_organization):
        mark_listening(each.pk)
        submit(organization_id=each.pk)
        with CaptureQueriesContext(connection) as queries:
            publish_queue_figures()
        counts.append(len(queries))
    assert counts == [3, 3]


def test_each_organization_gets_its_own_figures(
    submit: Submit, organization: Organization, other_organization: Organization
) -> None:
    published = [Published(each) for each in (organization, other_organization)]
    for number, each in enumerate((organization, other_organization)):
        mark_listening(each.pk)
        for _ in range(number + 1):
            submit(organization_id=each.pk)
    publish_queue_figures()
    assert [[event.queue_size for event in each.queue()] for each in published] == [[1], [2]]


def test_the_count_does_not_read_ended_requests(submit: Submit, organization: Organization) -> None:
    submit()
    mark_listening(organization.pk)
    with CaptureQueriesContext(connection) as queries:
        publish_queue_figures()
    plans = []
    with system_scope():
        for query in [each["sql"] for each in queries if "queue_app_airequest" in each["sql"]]:
            with connection.cursor() as cursor:
                cursor.execute("EXPLAIN QUERY PLAN " + query if connection.vendor == "sqlite" else "EXPLAIN " + query)
                plans.append(str(cursor.fetchall()))
    assert len(plans) == 2
    if connection.vendor == "sqlite":  # PostgreSQL scans a table of one row in any case
        assert "request_pending" in plans[0]
        assert "SCAN queue_app_airequest'" not in plans[1]


def test_the_scheduler_reports_an_unavailable_redis(queue: None, settings: Settings) -> None:
    settings.REDIS_URL = f"redis://127.0.0.1:{free_port()}/0"
    with pytest.raises(RedisError):
        publish_queue_figures()


def test_failing_figures_of_one_organization_do_not_block_others(
    submit: Submit, organization: Organization, other_organization: Organization
) -> None:
    with system_scope():
        QueuePolicy.objects.create(organization=organization, paused_priorities=[7])
    for each in (organization, other_organization):
        mark_listening(each.pk)
    published = Published(other_organization)
    publish_queue_figures()
    assert len(published.queue()) == 1
