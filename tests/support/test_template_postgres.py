import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from django.db import connection

from tests.support import template_postgres
from tests.support.template_postgres import PREFIX, PostgresTemplate

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(connection.vendor != "postgresql", reason="needs the PostgreSQL server"),
]


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch) -> str:
    """The server's URL. These tests use their own template names and lock."""
    monkeypatch.setattr(template_postgres, "PREFIX", f"test_{PREFIX}{os.getpid()}_")
    monkeypatch.setattr(template_postgres, "LOCK", os.getpid())
    names = connection.settings_dict
    return f"postgres://{names['USER']}@{names['HOST']}:{names['PORT']}/postgres"


@pytest.fixture
def server(url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(url, autocommit=True) as server:
        yield server
        for name in databases(server):
            server.execute(f"DROP DATABASE {name}")  # type: ignore[call-overload]


def databases(server: psycopg.Connection) -> list[str]:
    found = server.execute(
        "SELECT datname FROM pg_database WHERE starts_with(datname, %s) ORDER BY oid", [template_postgres.PREFIX]
    )
    return [name for (name,) in found]


def test_the_first_process_creates_the_template_and_others_wait_for_it(url: str, server: psycopg.Connection) -> None:
    first, second = PostgresTemplate(url, "a"), PostgresTemplate(url, "a")
    assert first.begin() is None
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(second.begin)
        assert not waiting.done()
        first.keep("template0")
        assert waiting.result() == first.name
    assert databases(server) == [first.name]


def test_a_template_created_concurrently_by_another_checkout_is_kept(url: str, server: psycopg.Connection) -> None:
    template = PostgresTemplate(url, "a")
    template.begin()
    server.execute(f"CREATE DATABASE {template.name} TEMPLATE template0")  # type: ignore[call-overload]
    template.keep("template0")
    assert databases(server) == [template.name]


def test_the_oldest_templates_are_dropped(
    url: str, server: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(template_postgres, "KEPT", 1)
    for fingerprint in ("a", "b"):
        template = PostgresTemplate(url, fingerprint)
        assert template.begin() is None
        template.keep("template0")
    assert databases(server) == [template.name]
