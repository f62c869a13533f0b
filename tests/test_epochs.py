"""A process's cached values are invalidated when a change is committed, in whichever process."""

import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext

import pytest
from django.contrib import admin
from django.db import transaction
from django.test import RequestFactory
from pytest_django.fixtures import Settings

from aiinfra import epochs
from aiinfra.rate_limits import take
from aiinfra.redis import redis_client
from aiinfra.tenants import audit
from aiinfra.tenants.models import Organization, User
from aiinfra.timed_cache import TimedCache

ONE, OTHER = 1, 2


class Table:
    """A row per organization that records each read."""

    def __init__(self) -> None:
        self.reads: list[int] = []
        self.during_read: Callable[[], object] = lambda: None

    def read(self, organization_id: int) -> int:
        self.reads.append(organization_id)
        self.during_read()
        return len(self.reads)


@pytest.fixture
def table() -> Table:
    return Table()


@pytest.fixture
def cached(table: Table) -> TimedCache[int, int]:
    """A cache whose values are valid only within an epoch."""
    return TimedCache(table.read, seconds=0, owner=lambda organization_id, _: organization_id)


@pytest.fixture
def redis(redis_url: str) -> Iterator[None]:
    yield


def ask(cached: TimedCache[int, int], organization_id: int = ONE) -> int:
    """Read the value within a request, after the request has counted against the rate limits."""
    with epochs.request():
        take([], organization_id=organization_id)
        return cached.of(organization_id)


def change_elsewhere(organization_id: int = ONE) -> None:
    """Simulate `epochs.change` in another process: only the epoch in Redis changes."""
    redis_client().set(epochs.key_of(organization_id), f"another {time.monotonic_ns()}")


@pytest.mark.usefixtures("redis")
def test_a_value_is_read_once_per_epoch(table: Table, cached: TimedCache[int, int]) -> None:
    assert ask(cached) == ask(cached) == ask(cached) == 1
    change_elsewhere()
    assert ask(cached) == ask(cached) == 2
    assert table.reads == [ONE, ONE]


@pytest.mark.usefixtures("redis")
def test_a_change_affects_its_organization_and_an_installation_change_affects_all(
    table: Table, cached: TimedCache[int, int]
) -> None:
    ask(cached, ONE), ask(cached, OTHER)
    change_elsewhere(ONE)
    ask(cached, ONE), ask(cached, OTHER)
    assert table.reads == [ONE, OTHER, ONE]
    change_elsewhere(epochs.INSTALLATION)
    ask(cached, ONE), ask(cached, OTHER)
    assert table.reads == [ONE, OTHER, ONE, ONE, OTHER]


@pytest.mark.usefixtures("redis")
def test_a_change_while_rows_are_read_is_not_missed(table: Table, cached: TimedCache[int, int]) -> None:
    table.during_read = change_elsewhere
    assert ask(cached) == 1
    table.during_read = lambda: None
    assert ask(cached) == ask(cached) == 2


@pytest.mark.usefixtures("redis")
def test_values_expire_in_case_an_epoch_was_lost(
    table: Table, cached: TimedCache[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    assert ask(cached) == 1
    now[0] = epochs.LOST_S - 0.01
    assert ask(cached) == 1
    now[0] = epochs.LOST_S
    assert ask(cached) == 2


def test_without_redis_every_request_reads_the_rows_once(
    table: Table, cached: TimedCache[int, int], settings: Settings
) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    with epochs.request():
        take([], organization_id=ONE)
        assert cached.of(ONE) == cached.of(ONE) == 1
    assert ask(cached) == 2


@pytest.mark.usefixtures("redis")
def test_outside_of_requests_values_expire_after_their_seconds(table: Table, cached: TimedCache[int, int]) -> None:
    ask(cached)
    assert [cached.of(ONE), cached.of(ONE)] == [2, 3]


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("redis")
def test_a_new_epoch_starts_at_the_commit(table: Table, cached: TimedCache[int, int]) -> None:
    ask(cached)
    before = redis_client().get(epochs.key_of(ONE))
    with transaction.atomic():
        epochs.change(ONE)
        assert redis_client().get(epochs.key_of(ONE)) == before
        assert ask(cached) == 2, "this process already reads the new value"
    assert redis_client().get(epochs.key_of(ONE)) != before
    assert ask(cached) == 3


@pytest.mark.django_db(transaction=True)
def test_a_change_is_committed_while_redis_is_unavailable(
    table: Table, cached: TimedCache[int, int], settings: Settings
) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    with transaction.atomic():
        epochs.change(ONE)
    assert ask(cached) == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("redis")
def test_every_audit_event_starts_a_new_epoch(organization: Organization) -> None:
    for organization_id in (organization.pk, None):
        key = epochs.key_of(organization_id or epochs.INSTALLATION)
        before = redis_client().get(key)
        audit.record(organization_id=organization_id, actor="user:x", verb="thing.changed", target="x")
        assert redis_client().get(key) != before


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("redis")
def test_every_admin_change_starts_a_new_epoch_for_all_organizations(owner: User) -> None:
    request = RequestFactory().post("/admin/")
    request.user = owner
    epoch_values = [redis_client().get(epochs.key_of(epochs.INSTALLATION))]
    for model_admin in (admin.site.get_model_admin(User), admin.site.get_model_admin(Organization)):
        model_admin.log_change(request, owner, [{"changed": {"fields": ["is_active"]}}])
        epoch_values.append(redis_client().get(epochs.key_of(epochs.INSTALLATION)))
    assert len(set(epoch_values)) == 3


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("is_alone", [False, True])
def test_an_unpublished_change_is_logged_unless_no_other_process_runs(
    settings: Settings, caplog: pytest.LogCaptureFixture, is_alone: bool
) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    with epochs.alone() if is_alone else nullcontext():
        epochs.change(ONE)
    assert [record.levelname for record in caplog.records] == ([] if is_alone else ["WARNING"])
