"""A PostgreSQL database behind a proxy, a Redis, and the web server of one host."""

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

from tests.faults.databases import Postgres, fresh_postgres, postgres_answers, postgres_template
from tests.faults.stack import CLIENT_TIMEOUT_S, MANAGE, Stack
from tests.hosts.proxy import Proxy
from tests.support.processes import ROOT, free_port


@dataclass
class Host:
    """The settings and URL of a host. `http` ignores proxy settings."""

    env: dict[str, str]
    http: httpx2.Client

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.env['PORT']}"

    def manage(self, *arguments: str, **env: str) -> subprocess.Popen[str]:
        """Start a management command."""
        return subprocess.Popen(
            [*MANAGE, *arguments],
            cwd=ROOT,
            env={**os.environ, **self.env, **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def status(self, path: str, **headers: str) -> int:
        """The status code of a page, or 0 if the host does not respond."""
        try:
            return self.http.get(self.url + path, headers=headers).status_code
        except httpx2.HTTPError:
            return 0


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The product on a new database after `manage.py release`. Its processes are not started."""
    with fresh_postgres(postgres_template()) as database:
        prepared = Stack(tmp_path_factory.mktemp("product"), database)
        try:
            prepared.prepare()
            yield prepared
        finally:
            prepared.shut_down()


@pytest.fixture(scope="module")
def database() -> Iterator[Postgres]:
    if not postgres_answers():
        pytest.fail("these tests need a PostgreSQL at TEST_DATABASE_URL or 127.0.0.1:5432")
    with fresh_postgres() as fresh:
        yield fresh


@pytest.fixture(scope="module")
def proxy(database: Postgres) -> Iterator[Proxy]:
    address = urlsplit(database.url)
    with Proxy(address.hostname or "127.0.0.1", address.port or 5432) as running:
        yield running


@pytest.fixture(scope="module")
def host(
    database: Postgres, proxy: Proxy, redis_server: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Host]:
    """A host behind a TLS proxy, with few threads."""
    directory: Path = tmp_path_factory.mktemp("host")
    address = urlsplit(database.url)
    user = address.username or "postgres"
    settings = {
        "AIINFRA_DATA_DIR": str(directory),
        "DATABASE_URL": address._replace(netloc=f"{user}@127.0.0.1:{proxy.port}").geturl(),
        "REDIS_URL": redis_server,
        "PORT": str(free_port()),
        "AIINFRA_HTTPS": "true",
        "AIINFRA_BEHIND_PROXY": "true",
        "SECRET_KEY": "s" * 50,
        "API_KEY_PEPPER": "p" * 50,
        "WEB_PROCESSES": "1",
        "WEB_THREADS": "2",
        "WEB_LAME_DUCK_S": "60",
        "DJANGO_SETTINGS_MODULE": "aiinfra.settings",
    }
    with httpx2.Client(trust_env=False, timeout=CLIENT_TIMEOUT_S) as http:
        yield Host(settings, http)
