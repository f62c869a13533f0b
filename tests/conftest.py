"""What every test can ask for: a Redis of its own, and the cast: people of every role and a stranger."""

import gc
import os
import socket
import time
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from pathlib import Path

import hypothesis
import pytest
from django.conf import settings as django_settings
from django.db import connection
from django.test import Client, override_settings
from pytest_django import DjangoDbBlocker
from pytest_django.fixtures import Settings
from redis import Redis, RedisError

from aiinfra import timed_cache
from aiinfra.providers.adapters import parameters
from aiinfra.redis import bytes_client, redis_client
from aiinfra.stack.bundled_redis import redis_binary
from aiinfra.tenants.authorization import Role
from aiinfra.tenants.models import Membership, Organization, User
from queue_app.processing import in_flight
from tests.support.costs import nothing_expires_where_costs_are_counted  # noqa: F401 - a fixture
from tests.support.databases import suit_tests
from tests.support.dates import TIME_ZONE
from tests.support.emptying import empty_after_each_test
from tests.support.processes import free_port, start, wait_until
from tests.support.product import Run, running
from tests.support.race import PATIENCE_S, RunRace
from tests.support.race import run_race as run_race_in
from tests.support.selection import mark_databases, mark_hosts, mark_processes, mark_slow
from tests.support.template import Template, template_path
from tests.support.template_postgres import PostgresTemplate

# A busy machine must fail no test: examples have no deadline.
hypothesis.settings.register_profile("no_deadline", deadline=None)
hypothesis.settings.load_profile("no_deadline")

GARBAGE_AT_ONCE = 20_000
"""Objects after which the garbage collector looks at the newest ones; Python's own 700 suits small programs."""
gc.set_threshold(GARBAGE_AT_ONCE)

HOUR_S = 3_600
LAST_S = 30
"""More than a test takes on a busy machine. All days begin with an hour in UTC, but for a few time zones."""


TEST_SETTINGS = {
    "STORAGES": {"staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}},
    "PASSWORD_HASHERS": ["django.contrib.auth.hashers.MD5PasswordHasher"],
}
"""Static files without a manifest, which only `collectstatic` makes, and passwords that cost nothing."""


def pytest_configure() -> None:
    """Change settings once, not per test: a live server can still answer the last test's request between two tests.

    The URLs are loaded before the tests are collected, because some of them list the admin's pages.
    """
    override_settings(**TEST_SETTINGS).enable()
    import_module(django_settings.ROOT_URLCONF)
    # WhiteNoise warns where the directory that `collectstatic` makes is missing.
    Path(django_settings.STATIC_ROOT).mkdir(parents=True, exist_ok=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Say of each test where it runs."""
    for item in items:
        mark_databases(item)
        mark_processes(item)
        mark_hosts(item)
        mark_slow(item)


def pytest_runtest_setup() -> None:
    """Begin no test in the last seconds of an hour: many count what happens within an hour, a day, or a month."""
    left_s = HOUR_S - time.time() % HOUR_S
    if left_s < LAST_S:
        time.sleep(left_s)


def pytest_collection_finish() -> None:
    """Keep the garbage collector from going through the tests and modules again and again: they stay."""
    gc.collect()
    gc.freeze()


def pytest_unconfigure() -> None:
    """Close the connections that clients keep as long as the process; at its end, Python would warn of them."""
    for each in gc.get_objects():
        if issubclass(type(each), socket.socket) and each.family != socket.AF_UNIX and each.fileno() >= 0:
            os.close(each.detach())


def _is_up(url: str) -> bool:
    try:
        return bool(Redis.from_url(url).ping())
    except RedisError:
        return False


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Redis that lives as long as the test session."""
    port, directory = free_port(), tmp_path_factory.mktemp("redis")
    with start(_redis_command(port, directory)):
        url = f"redis://127.0.0.1:{port}/0"
        wait_until(lambda: _is_up(url), "Redis")
        yield url


def _redis_command(port: int, directory: Path) -> list[str]:
    options = {"port": str(port), "bind": "127.0.0.1", "dir": str(directory), "save": "", "loglevel": "warning"}
    return [redis_binary(), *(word for name, value in options.items() for word in (f"--{name}", value))]


@pytest.fixture(scope="session")
def _redis_emptier(redis_server: str) -> Iterator[Redis]:
    """Keeps its connection: to connect before each test took ten times as much CPU as to empty Redis."""
    with Redis.from_url(redis_server) as client:
        yield client


@pytest.fixture
def redis_url(redis_server: str, _redis_emptier: Redis, settings: Settings) -> Iterator[str]:
    """An empty Redis, which `settings.REDIS_URL` names until every call of the test has ended."""
    _redis_emptier.flushall()
    settings.REDIS_URL = redis_server
    with override_settings(REDIS_TIMEOUT_S=PATIENCE_S):  # clients are kept for each address
        redis_client(), bytes_client()
    yield redis_server
    wait_until(lambda: not in_flight.running_count(), "the test's calls to end")


@pytest.fixture
def run_race(tmp_path: Path) -> RunRace:
    """Runs racers at once, with the test's own directory for their files; see `tests.support.race.run_race`."""
    return partial(run_race_in, directory=tmp_path)


@pytest.fixture(scope="session")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """The whole product after its first start on a machine on which nothing is configured."""
    with running(tmp_path_factory.mktemp("product")) as run:
        yield run


@pytest.fixture(scope="session", autouse=True)
def _database_is_emptied_after_tests_that_commit() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        empty_after_each_test(monkeypatch)
        yield


@pytest.fixture(autouse=True)
def _no_cached_reads() -> None:
    """What another test read is not known to this one, however soon it runs after that."""
    timed_cache.clear_all()
    parameters._remembered.clear()


@pytest.fixture
def organization(db: None) -> Organization:
    """The organization that the cast belongs to."""
    return Organization.objects.create(slug="north", name="North Ltd", time_zone=TIME_ZONE)


@pytest.fixture
def other_organization(db: None) -> Organization:
    """The stranger's."""
    return Organization.objects.create(slug="south", name="South Ltd")


def make_member(organization: Organization, role: Role, name: str) -> User:
    """A person with that role."""
    user = User.objects.create_user(name, f"{name}@example.com", "a long password")
    Membership.objects.create(organization=organization, user=user, role=role.value)
    return user


@pytest.fixture
def owner(organization: Organization) -> User:
    return make_member(organization, Role.OWNER, "owner")


@pytest.fixture
def admin(organization: Organization) -> User:
    return make_member(organization, Role.ADMIN, "admin")


@pytest.fixture
def finance(organization: Organization) -> User:
    return make_member(organization, Role.FINANCE, "finance")


@pytest.fixture
def operator(organization: Organization) -> User:
    return make_member(organization, Role.OPERATOR, "operator")


@pytest.fixture
def viewer(organization: Organization) -> User:
    return make_member(organization, Role.VIEWER, "viewer")


@pytest.fixture
def stranger(other_organization: Organization) -> User:
    """The owner of another organization."""
    return make_member(other_organization, Role.OWNER, "stranger")


@pytest.fixture
def member_of(organization: Organization) -> Callable[[Role], User]:
    """Makes the person of a role, for tests that go through all of them."""
    return lambda role: make_member(organization, role, f"the-{role.value}")


@pytest.fixture
def client_of() -> Callable[[User], Client]:
    """A browser in which the person is logged in."""

    def make(user: User) -> Client:
        client = Client()
        client.force_login(user)
        return client

    return make


@pytest.fixture(scope="session")
def _template() -> Template:
    return Template(template_path())


@pytest.fixture(scope="session")
def _postgres_template() -> PostgresTemplate:
    return PostgresTemplate(os.environ["DATABASE_URL"], template_path().stem)


@pytest.fixture(scope="session")
def django_db_modify_db_settings(
    django_db_modify_db_settings_parallel_suffix: None,
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> None:
    """SQLite in a file, as in production: threads wait for each other's locks there, in memory they fail at once."""
    suit_tests(connection)
    test = connection.settings_dict["TEST"]
    if connection.vendor == "sqlite":
        database = tmp_path_factory.mktemp("database") / "test.sqlite3"
        test["NAME"] = str(database)
        request.getfixturevalue("_template").begin(database)
    else:
        test["TEMPLATE"] = request.getfixturevalue("_postgres_template").begin()


@pytest.fixture(scope="session")
def django_db_keepdb(django_db_keepdb: bool) -> bool:
    """Leave the copied template where the test database is made."""
    return django_db_keepdb or connection.vendor == "sqlite"


@pytest.fixture(scope="session")
def django_db_setup(
    django_db_setup: None, django_db_blocker: DjangoDbBlocker, request: pytest.FixtureRequest
) -> Iterator[None]:
    """Keep the migrated database for the next test process."""
    name = connection.settings_dict["NAME"]
    if connection.vendor == "sqlite":
        request.getfixturevalue("_template").keep(Path(name))
        yield
        with django_db_blocker.unblock():
            connection.close()
    else:
        with django_db_blocker.unblock():
            connection.close()
            connection.close_pool()
        request.getfixturevalue("_postgres_template").keep(name)
        yield
