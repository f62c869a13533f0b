"""`/healthz` and `/readyz`: for load balancers and supervisors, without a credential and without detail."""

from collections.abc import Iterator

import pytest
from django.db import OperationalError, connection
from django.test import Client
from pytest_django import DjangoAssertNumQueries
from pytest_django.fixtures import Settings

from aiinfra import web_stopping
from aiinfra.monitoring import readiness


class SameThread:
    """Looks with the test's connection."""

    def answer(self, _patience_s: float) -> str:
        return readiness.look()


@pytest.fixture(autouse=True)
def _same_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "_check", SameThread())


@pytest.fixture
def database_away() -> Iterator[None]:
    def refuse(*_: object) -> None:
        raise OperationalError("could not connect to 10.0.0.7")

    with connection.execute_wrapper(refuse):
        yield


def ask(path: str) -> tuple[int, str]:
    response = Client().get(path)
    assert response["Content-Type"] == "text/plain"
    return response.status_code, response.content.decode()


def test_the_process_answers(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    with django_assert_num_queries(0):
        assert ask("/healthz") == (200, "ok\n")


def test_it_is_ready_while_the_database_answers() -> None:
    assert ask("/readyz") == (200, "ready\n")


def test_it_is_ready_without_redis(settings: Settings) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    assert ask("/readyz") == (200, "ready\n")


@pytest.mark.usefixtures("database_away")
def test_it_is_not_ready_without_the_database_and_says_nothing_else() -> None:
    assert ask("/readyz") == (503, "not ready\n")
    assert ask("/healthz") == (200, "ok\n")


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_they_are_for_reading(path: str, method: str) -> None:
    assert Client().generic(method, path).status_code == 405


@pytest.fixture(autouse=True)
def _database(db: None) -> None:
    """Both may look at the database."""


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_they_tell_the_truth_with_https_and_under_any_host(path: str, settings: Settings) -> None:
    settings.SECURE_SSL_REDIRECT = True
    settings.ALLOWED_HOSTS = ["only.example"]
    assert Client(headers={"host": "10.0.0.7"}).get(path).status_code == 200


@pytest.mark.usefixtures("database_away")
def test_a_lost_database_is_no_redirect(settings: Settings) -> None:
    settings.SECURE_SSL_REDIRECT = True
    assert Client(headers={"host": "10.0.0.7"}).get("/readyz").status_code == 503


def test_a_stopping_process_is_not_ready_and_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_stopping, "is_stopping", lambda: True)
    assert ask("/readyz") == (503, "not ready\n")
    assert ask("/healthz") == (200, "ok\n")


def test_load_balancers_may_ask_with_head() -> None:
    assert Client().head("/readyz").status_code == 200
