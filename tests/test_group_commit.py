"""Writes that wait for SQLite's lock at the same time are committed together, and return only after the commit.

To form a group, the tests hold the gate until every thread has joined.
"""

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial

import pytest
from django.db import IntegrityError, OperationalError, connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aiinfra import group_commit
from aiinfra.group_commit import MEMBERS_MAX, grouped
from aiinfra.sqlite.gate import Gate
from aiinfra.tenants.models import AuditEvent, Membership, Organization
from aiinfra.tenants.scope import organization_in_scope, organization_scope, system_scope
from tests.support.processes import wait_until

pytestmark = pytest.mark.django_db(transaction=True)
on_sqlite = pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL groups commits itself")
Work = Callable[[], object]
caller: ContextVar[str] = ContextVar("caller", default="")


def write(slug: str) -> str:
    Organization.objects.create(slug=slug, name=slug)
    return slug


def write_and_fail(slug: str) -> None:
    write(slug)
    raise ZeroDivisionError(slug)


def break_the_commit() -> None:
    """Insert a row with an invalid foreign key, which SQLite detects at COMMIT."""
    Membership(organization_id=999, user_id=999, role="owner").save(force_insert=True)


def slugs() -> set[str]:
    return set(Organization.objects.values_list("slug", flat=True))


def run_work(work: Work) -> object:
    """Run the work and close the connection, as the product's threads do."""
    try:
        return grouped(work)
    finally:
        connection.close()


@contextmanager
def gate_taken() -> Iterator[None]:
    """Hold the gate, as another process that writes would."""
    with Gate(os.path.realpath(connection.settings_dict["NAME"])).passed(60):
        yield


def waiting() -> int:
    return len(group_commit._open.members) if group_commit._open else 0


def run_together(works: list[Work], run: Callable[[Work], object] = run_work) -> list[Future[object]]:
    """Run each in its own thread, all in one group; the first is the leader."""
    with ThreadPoolExecutor(len(works)) as threads, gate_taken():
        futures = []
        for number, work in enumerate(works, 1):
            futures.append(threads.submit(run, work))
            wait_until(lambda number=number: waiting() == number, "the thread to join")  # type: ignore[misc]
    return futures


def test_the_result_is_returned_after_the_commit() -> None:
    assert grouped(lambda: write("a")) == "a"
    assert slugs() == {"a"}


def test_an_error_rolls_back_and_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        grouped(lambda: write_and_fail("a"))
    assert slugs() == set()


def test_within_a_transaction_the_work_joins_it() -> None:
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        assert grouped(lambda: write("a")) == "a"
        with pytest.raises(ZeroDivisionError):
            grouped(lambda: write_and_fail("b"))
        assert slugs() == {"a"}
        raise ZeroDivisionError
    assert slugs() == set()


@on_sqlite
def test_waiting_threads_are_committed_together() -> None:
    ran_in = set()

    def work(slug: str) -> str:
        ran_in.add(threading.get_ident())
        return write(slug)

    futures = run_together([partial(work, str(number)) for number in range(5)])
    assert [future.result() for future in futures] == ["0", "1", "2", "3", "4"]
    assert slugs() == {"0", "1", "2", "3", "4"}
    assert len(ran_in) == 1


@on_sqlite
def test_group_size_is_limited() -> None:
    ran_in = []

    def work(slug: str) -> str:
        ran_in.append(threading.get_ident())
        return write(slug)

    total = MEMBERS_MAX + 2
    with ThreadPoolExecutor(total) as threads, gate_taken():
        for number in range(total):
            threads.submit(run_work, partial(work, str(number)))
        wait_until(lambda: waiting() == 2, "the second group")
    assert sorted(map(ran_in.count, set(ran_in))) == [2, MEMBERS_MAX]
    assert len(slugs()) == total


@on_sqlite
def test_an_error_affects_only_its_caller() -> None:
    works = [partial(write, "a"), partial(write_and_fail, "b"), partial(write, "c")]
    first, second, third = run_together([*works])
    assert (first.result(), third.result()) == ("a", "c")
    with pytest.raises(ZeroDivisionError, match="b"):
        second.result()
    assert slugs() == {"a", "c"}


@on_sqlite
def test_an_error_in_the_leader_does_not_affect_followers() -> None:
    leader, follower = run_together([partial(write_and_fail, "a"), partial(write, "b")])
    with pytest.raises(ZeroDivisionError):
        leader.result()
    assert follower.result() == "b"
    assert slugs() == {"b"}


@on_sqlite
def test_a_failed_commit_raises_for_every_member() -> None:
    futures = run_together([partial(write, "a"), break_the_commit, partial(write_and_fail, "c"), partial(write, "d")])
    errors = [future.exception() for future in futures]
    assert [type(error) for error in errors] == [IntegrityError, IntegrityError, ZeroDivisionError, IntegrityError]
    assert len({id(error) for error in errors}) == len(errors)
    assert slugs() == set()
    assert grouped(lambda: write("next")) == "next"


@on_sqlite
def test_a_transaction_ended_by_the_database_raises_for_every_member() -> None:
    """On a full disk, SQLite rolls back immediately; later statements would each be committed separately."""

    def lose_the_transaction() -> None:
        with connection.cursor() as cursor:
            cursor.execute("ROLLBACK")
        raise OperationalError("database or disk is full")

    futures = run_together([partial(write, "a"), lose_the_transaction, partial(write, "c")])
    first, second, third = (future.exception() for future in futures)
    assert isinstance(first, OperationalError)
    assert str(second) == "database or disk is full"
    assert isinstance(third, OperationalError)
    assert slugs() == set()


@on_sqlite
def test_a_lock_timeout_raises_for_every_member(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[group_commit._Group] = []

    def give_up(_gate: Gate, _timeout_s: float) -> None:
        wait_until(lambda: waiting() == 2, "the group")
        opened.append(group_commit._open)  # type: ignore[arg-type]
        raise OperationalError("database is locked")

    monkeypatch.setattr(Gate, "enter", give_up)
    with ThreadPoolExecutor(2) as threads:
        futures = [threads.submit(run_work, partial(write, str(number))) for number in range(2)]
        errors = [str(future.exception()) for future in futures]
    assert errors == ["database is locked"] * 2
    assert len(opened) == 1
    assert waiting() == 0


@on_sqlite
def test_followers_do_not_wait_for_an_interrupted_leader() -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    leader, follower = run_together([interrupt, partial(write, "b")])
    with pytest.raises(KeyboardInterrupt):
        leader.result()
    assert isinstance(follower.exception(), OperationalError)
    assert slugs() == set()


@on_sqlite
def test_work_runs_in_its_caller_s_organization_scope(
    organization: Organization, other_organization: Organization
) -> None:
    owners = [organization.pk, other_organization.pk, organization.pk]

    def record() -> int | None:
        AuditEvent.objects.create(organization_id=organization_in_scope(), actor="x", verb="a.b", target="t")
        return organization_in_scope()

    def run(work: Work) -> object:
        with organization_scope(owners[waiting()]):
            return run_work(work)

    futures = run_together([record] * 3, run)
    assert [future.result() for future in futures] == owners
    with system_scope():
        assert sorted(AuditEvent.objects.values_list("organization_id", flat=True)) == sorted(owners)


@on_sqlite
def test_on_commit_callbacks_run_in_their_caller_s_thread() -> None:
    ran: dict[str, tuple[int, str, set[str]]] = {}
    callers: dict[str, int] = {}

    def work(slug: str) -> str:
        transaction.on_commit(lambda: ran.update({slug: (threading.get_ident(), caller.get(), seen())}))
        return (write_and_fail if slug == "failing" else write)(slug) or slug

    def seen() -> set[str]:
        try:
            return slugs()
        finally:
            connection.close()

    def run(each: Work) -> object:
        caller.set(each.args[0])  # type: ignore[attr-defined]
        callers[caller.get()] = threading.get_ident()
        return run_work(each)

    run_together([partial(work, slug) for slug in ("a", "failing", "c")], run)
    assert ran == {slug: (callers[slug], slug, {"a", "c"}) for slug in ("a", "c")}


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(fails=st.lists(st.lists(st.booleans(), min_size=1, max_size=5), min_size=1, max_size=8))
def test_the_rows_are_those_of_the_work_that_succeeded(fails: list[list[bool]]) -> None:
    Organization.objects.all().delete()
    succeeded: list[str] = []

    def run(thread: int) -> None:
        for turn, is_failing in enumerate(fails[thread]):
            slug = f"{thread}-{turn}"
            try:
                succeeded.append(grouped(partial(write_and_fail if is_failing else write, slug)) or "")
            except ZeroDivisionError as error:
                assert is_failing
                assert str(error) == slug
        connection.close()

    with ThreadPoolExecutor(len(fails)) as threads:
        for future in [threads.submit(run, thread) for thread in range(len(fails))]:
            future.result()
    assert slugs() == set(succeeded)
    assert len(succeeded) == sum(not is_failing for thread in fails for is_failing in thread)
