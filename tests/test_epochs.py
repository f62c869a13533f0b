"""What a process remembers ends with the commit of a change, whichever process makes it."""

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
    """A row per organization, and how often it was read."""

    def __init__(self) -> None:
        self.reads: list[int] = []
        self.meanwhile: Callable[[], object] = lambda: None

    def read(self, organization_id: int) -> int:
        self.reads.append(organization_id)
        self.meanwhile()
        return len(self.reads)


@pytest.fixture
def table() -> Table:
    return Table()


@pytest.fixture
def kept(table: Table) -> TimedCache[int, int]:
    """Remembers nothing without an epoch."""
    return TimedCache(table.read, seconds=0, owner=lambda organization_id, _: organization_id)


@pytest.fixture
def redis(redis_url: str) -> Iterator[None]:
    yield


def ask(kept: TimedCache[int, int], organization_id: int = ONE) -> int:
    """What one request is told that counts itself first."""
    with epochs.request():
        take([], organization_id=organization_id)
        return kept.of(organization_id)


def change_elsewhere(organization_id: int = ONE) -> None:
    """As `epochs.change` in another process, of which this one only sees the epoch."""
    redis_client().set(epochs.key_of(organization_id), f"another {time.monotonic_ns()}")


@pytest.mark.usefixtures("redis")
def test_a_value_is_read_once_per_epoch(table: Table, kept: TimedCache[int, int]) -> None:
    assert ask(kept) == ask(kept) == ask(kept) == 1
    change_elsewhere()
    assert ask(kept) == ask(kept) == 2
    assert table.reads == [ONE, ONE]


@pytest.mark.usefixtures("redis")
def test_a_change_concerns_its_organization_and_one_of_the_installation_all(
    table: Table, kept: TimedCache[int, int]
) -> None:
    ask(kept, ONE), ask(kept, OTHER)
    change_elsewhere(ONE)
    ask(kept, ONE), ask(kept, OTHER)
    assert table.reads == [ONE, OTHER, ONE]
    change_elsewhere(epochs.INSTALLATION)
    ask(kept, ONE), ask(kept, OTHER)
    assert table.reads == [ONE, OTHER, ONE, ONE, OTHER]


@pytest.mark.usefixtures("redis")
def test_a_change_while_rows_are_read_is_not_missed(table: Table, kept: TimedCache[int, int]) -> None:
    table.meanwhile = change_elsewhere
    assert ask(kept) == 1
    table.meanwhile = lambda: None
    assert ask(kept) == ask(kept) == 2


@pytest.mark.usefixtures("redis")
def test_a_lost_epoch_is_made_up_for_after_its_time(
    table: Table, kept: TimedCache[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    assert ask(kept) == 1
    now[0] = epochs.LOST_S - 0.01
    assert ask(kept) == 1
    now[0] = epochs.LOST_S
    assert ask(kept) == 2


def test_without_redis_every_request_reads_the_rows_once(
    table: Table, kept: TimedCache[int, int], settings: Settings
) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    with epochs.request():
        take([], organization_id=ONE)
        assert kept.of(ONE) == kept.of(ONE) == 1
    assert ask(kept) == 2


@pytest.mark.usefixtures("redis")
def test_outside_of_requests_nothing_holds_longer_than_its_seconds(table: Table, kept: TimedCache[int, int]) -> None:
    ask(kept)
    assert [kept.of(ONE), kept.of(ONE)] == [2, 3]


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("redis")
def test_an_epoch_starts_with_the_commit_and_not_before(table: Table, kept: TimedCache[int, int]) -> None:
    ask(kept)
    before = redis_client().get(epochs.key_of(ONE))
    with transaction.atomic():
        epochs.change(ONE)
        assert redis_client().get(epochs.key_of(ONE)) == before
        assert ask(kept) == 2, "this process knows already"
    assert redis_client().get(epochs.key_of(ONE)) != before
    assert ask(kept) == 3


@pytest.mark.django_db(transaction=True)
def test_a_change_is_made_although_redis_is_away(table: Table, kept: TimedCache[int, int], settings: Settings) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    with transaction.atomic():
        epochs.change(ONE)
    assert ask(kept) == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("redis")
def test_whatever_the_audit_log_records_starts_an_epoch(organization: Organization) -> None:
    for organization_id in (organization.pk, None):
        key = epochs.key_of(organization_id or epochs.INSTALLATION)
        before = redis_client().get(key)
        audit.record(organization_id=organization_id, actor="user:x", verb="thing.changed", target="x")
        assert redis_client().get(key) != before


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("redis")
def test_every_change_in_the_admin_starts_an_epoch_of_all_organizations(owner: User) -> None:
    request = RequestFactory().post("/admin/")
    request.user = owner
    words = [redis_client().get(epochs.key_of(epochs.INSTALLATION))]
    for model_admin in (admin.site.get_model_admin(User), admin.site.get_model_admin(Organization)):
        model_admin.log_change(request, owner, [{"changed": {"fields": ["is_active"]}}])
        words.append(redis_client().get(epochs.key_of(epochs.INSTALLATION)))
    assert len(set(words)) == 3


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("is_alone", [False, True])
def test_a_change_that_no_process_can_hear_of_is_a_warning_unless_none_runs(
    settings: Settings, caplog: pytest.LogCaptureFixture, is_alone: bool
) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    with epochs.alone() if is_alone else nullcontext():
        epochs.change(ONE)
    assert [record.levelname for record in caplog.records] == ([] if is_alone else ["WARNING"])
