"""Fixtures for every test: an empty Redis, two organizations, and a member of each role."""

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
from tests.support.costs import no_cache_expiry_while_costs_are_counted  # noqa: F401 - a fixture
from tests.support.databases import adapt_to_tests
from tests.support.dates import TIME_ZONE
from tests.support.emptying import empty_after_each_test
from tests.support.processes import free_port, start, wait_until
from tests.support.product import Run, running
from tests.support.race import PATIENCE_S, RunRace
from tests.support.race import run_race as run_race_in
from tests.support.selection import mark_databases, mark_hosts, mark_processes, mark_slow
from tests.support.template import Template, template_path
from tests.support.template_postgres import PostgresTemplate

# Examples have no deadline, so that tests don't fail on a busy machine.
hypothesis.settings.register_profile("no_deadline", deadline=None)
hypothesis.settings.load_profile("no_deadline")

GARBAGE_AT_ONCE = 20_000
"""Allocations that trigger a collection of the youngest generation. Python's default is 700."""
gc.set_threshold(GARBAGE_AT_ONCE)

HOUR_S = 3_600
LAST_S = 30
"""Longer than any test takes on a busy machine."""


TEST_SETTINGS = {
    "STORAGES": {"staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}},
    "PASSWORD_HASHERS": ["django.contrib.auth.hashers.MD5PasswordHasher"],
}
"""Static files without the manifest of `collectstatic`, and a fast password hasher."""


def pytest_configure() -> None:
    """Change settings once, not per test, because a live server can still respond to a request after its test.

    The URLs are loaded before collection because some tests list the pages of the admin.
    """
    override_settings(**TEST_SETTINGS).enable()
    import_module(django_settings.ROOT_URLCONF)
    # WhiteNoise warns if the directory of `collectstatic` is missing.
    Path(django_settings.STATIC_ROOT).mkdir(parents=True, exist_ok=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test with the part of the suite and the databases it runs on."""
    for item in items:
        mark_databases(item)
        mark_processes(item)
        mark_hosts(item)
        mark_slow(item)


def pytest_runtest_setup() -> None:
    """Don't start a test in the last seconds of an hour: many count events in the current hour, day, or month."""
    left_s = HOUR_S - time.time() % HOUR_S
    if left_s < LAST_S:
        time.sleep(left_s)


def pytest_collection_finish() -> None:
    """Exclude tests and modules from garbage collection, because they live as long as the process."""
    gc.collect()
    gc.freeze()


def pytest_unconfigure() -> None:
    """Close the connections that clients keep open, so that Python doesn't warn about them at exit."""
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
    """The URL of a Redis server that runs for the whole test session."""
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
    """A client that stays connected: connecting takes ten times as much CPU as emptying Redis."""
    with Redis.from_url(redis_server) as client:
        yield client


@pytest.fixture
def redis_url(redis_server: str, _redis_emptier: Redis, settings: Settings) -> Iterator[str]:
    """The URL of an empty Redis, set as `settings.REDIS_URL`. Teardown waits for calls still in progress."""
    _redis_emptier.flushall()
    settings.REDIS_URL = redis_server
    with override_settings(REDIS_TIMEOUT_S=PATIENCE_S):  # clients are cached by URL
        redis_client(), bytes_client()
    yield redis_server
    wait_until(lambda: not in_flight.running_count(), "the test's calls to end")


@pytest.fixture
def run_race(tmp_path: Path) -> RunRace:
    """`tests.support.race.run_race` with a temporary directory for the racers' files."""
    return partial(run_race_in, directory=tmp_path)


@pytest.fixture(scope="session")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """The whole product after its first start, with nothing configured."""
    with running(tmp_path_factory.mktemp("product")) as run:
        yield run


@pytest.fixture(scope="session", autouse=True)
def _database_is_emptied_after_tests_that_commit() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        empty_after_each_test(monkeypatch)
        yield


@pytest.fixture(autouse=True)
def _no_cached_reads() -> None:
    """Clear the caches, so that a test does not see what a previous test read."""
    timed_cache.clear_all()
    parameters._remembered.clear()


@pytest.fixture
def organization(db: None) -> Organization:
    """The organization of all members below except `stranger`."""
    return Organization.objects.create(slug="north", name="North Ltd", time_zone=TIME_ZONE)


@pytest.fixture
def other_organization(db: None) -> Organization:
    """The organization of `stranger`."""
    return Organization.objects.create(slug="south", name="South Ltd")


def make_member(organization: Organization, role: Role, name: str) -> User:
    """Create a member with this role."""
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
    """Creates a member with a role, for tests that iterate over the roles."""
    return lambda role: make_member(organization, role, f"the-{role.value}")


@pytest.fixture
def client_of() -> Callable[[User], Client]:
    """Creates a client in which the user is logged in."""

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
    """Use a SQLite file, as in production: in memory, threads fail immediately instead of waiting for a lock."""
    adapt_to_tests(connection)
    test = connection.settings_dict["TEST"]
    if connection.vendor == "sqlite":
        database = tmp_path_factory.mktemp("database") / "test.sqlite3"
        test["NAME"] = str(database)
        request.getfixturevalue("_template").begin(database)
    else:
        test["TEMPLATE"] = request.getfixturevalue("_postgres_template").begin()


@pytest.fixture(scope="session")
def django_db_keepdb(django_db_keepdb: bool) -> bool:
    """Don't delete the copied template when the test database is created."""
    return django_db_keepdb or connection.vendor == "sqlite"


@pytest.fixture(scope="session")
def django_db_setup(
    django_db_setup: None, django_db_blocker: DjangoDbBlocker, request: pytest.FixtureRequest
) -> Iterator[None]:
    """Keep the migrated database as a template for the next test process."""
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
