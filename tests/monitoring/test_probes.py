"""`/healthz` and `/readyz`: public and without details, for load balancers and supervisors."""

from collections.abc import Iterator

import pytest
from django.db import OperationalError, connection
from django.test import Client
from pytest_django import DjangoAssertNumQueries
from pytest_django.fixtures import Settings

from aiinfra import web_stopping
from aiinfra.monitoring import readiness


class SameThread:
    """Runs the check on the test's connection."""

    def answer(self, _timeout_s: float) -> str:
        return readiness.check_now()


@pytest.fixture(autouse=True)
def _same_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "_check", SameThread())


@pytest.fixture
def database_unavailable() -> Iterator[None]:
    def refuse(*_: object) -> None:
        raise OperationalError("could not connect to 10.0.0.7")

    with connection.execute_wrapper(refuse):
        yield


def probe(path: str) -> tuple[int, str]:
    response = Client().get(path)
    assert response["Content-Type"] == "text/plain"
    return response.status_code, response.content.decode()


def test_healthz_runs_no_query(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    with django_assert_num_queries(0):
        assert probe("/healthz") == (200, "ok\n")


def test_readyz_succeeds_while_the_database_responds() -> None:
    assert probe("/readyz") == (200, "ready\n")


def test_readyz_succeeds_without_redis(settings: Settings) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    assert probe("/readyz") == (200, "ready\n")


@pytest.mark.usefixtures("database_unavailable")
def test_readyz_fails_without_details_when_the_database_is_unavailable() -> None:
    assert probe("/readyz") == (503, "not ready\n")
    assert probe("/healthz") == (200, "ok\n")


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_probes_are_read_only(path: str, method: str) -> None:
    assert Client().generic(method, path).status_code == 405


@pytest.fixture(autouse=True)
def _database(db: None) -> None:
    """Both probes may use the database."""


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_probes_ignore_https_redirect_and_allowed_hosts(path: str, settings: Settings) -> None:
    settings.SECURE_SSL_REDIRECT = True
    settings.ALLOWED_HOSTS = ["only.example"]
    assert Client(headers={"host": "10.0.0.7"}).get(path).status_code == 200


@pytest.mark.usefixtures("database_unavailable")
def test_readyz_without_a_database_is_not_redirected(settings: Settings) -> None:
    settings.SECURE_SSL_REDIRECT = True
    assert Client(headers={"host": "10.0.0.7"}).get("/readyz").status_code == 503


def test_stopping_process_is_healthy_but_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_stopping, "is_stopping", lambda: True)
    assert probe("/readyz") == (503, "not ready\n")
    assert probe("/healthz") == (200, "ok\n")


def test_probes_support_head() -> None:
    assert Client().head("/readyz").status_code == 200
