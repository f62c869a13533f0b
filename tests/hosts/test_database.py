"""A host and its PostgreSQL: release, TLS, outages, standbys, and probes. The tests build on each other."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx2
import pytest

from aiinfra.tenants import key_text
from tests.faults.databases import Postgres, administer
from tests.faults.stack import GUNICORN
from tests.hosts.conftest import Host
from tests.hosts.proxy import Proxy
from tests.support.processes import ROOT, wait_until

SECURE = {"X-Forwarded-Proto": "https"}
ANY_HOST = {"Host": "10.1.2.3"}
OUTAGE_S = 40
READY_AGAIN_S = 20
"""With exponential backoff, the next connection attempt could come up to 32 s after the outage."""


@pytest.fixture(scope="module")
def web(host: Host) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(GUNICORN, cwd=ROOT, env={**os.environ, **host.env})
    try:
        wait_until(lambda: host.status("/healthz") == 200, "the web server")
        yield process
    finally:
        process.kill()  # SIGTERM would only start the lame-duck period
        process.wait()


@pytest.mark.usefixtures("web")
def test_host_is_not_ready_without_migrations(host: Host) -> None:
    assert host.status("/readyz") == 503


def test_release_fails_when_the_server_has_no_tls(host: Host) -> None:
    release = host.manage("release", DATABASE_URL=host.env["DATABASE_URL"] + "?sslmode=verify-full")
    _, errors = release.communicate(timeout=300)
    assert release.returncode == 1
    (line,) = errors.splitlines()
    assert line.startswith("CommandError: The database is unreachable: ")
    assert "SSL" in line or "root certificate" in line


@pytest.mark.usefixtures("web")
def test_concurrent_releases_create_each_row_once(host: Host, database: Postgres) -> None:
    releases = [host.manage("release"), host.manage("release")]
    for release in releases:
        output, errors = release.communicate(timeout=300)
        assert (release.returncode, errors) == (0, ""), output
    twice = "SELECT app, name FROM django_migrations GROUP BY app, name HAVING count(*) > 1"
    assert database.rows(twice) == []
    prices = "SELECT provider, model FROM cost_app_modelprice"
    assert database.rows(prices)
    before = sorted(database.rows(prices))
    again = host.manage("release")
    again.communicate(timeout=300)
    assert again.returncode == 0
    assert sorted(database.rows(prices)) == before
    wait_until(lambda: host.status("/readyz") == 200, "readiness after the release")


@pytest.mark.usefixtures("web")
@pytest.mark.parametrize("headers", [{}, SECURE, ANY_HOST])
def test_probes_respond_for_any_host_name_and_without_tls(host: Host, headers: dict[str, str]) -> None:
    assert host.status("/healthz", **headers) == 200
    assert host.status("/readyz", **headers) == 200


@pytest.mark.usefixtures("web")
def test_frozen_database_only_makes_the_host_unready(host: Host, proxy: Proxy) -> None:
    proxy.freeze()
    callers = [threading.Thread(target=_call, args=(host,)) for _ in range(8)]
    try:
        for caller in callers:
            caller.start()
        wait_until(lambda: host.status("/readyz", **ANY_HOST) == 503, "503")
        for _ in range(5):
            assert host.status("/readyz", **ANY_HOST) == 503
            assert host.status("/healthz", **ANY_HOST) == 200
    finally:
        proxy.thaw()
    wait_until(lambda: host.status("/readyz") == 200, "readiness after the freeze")
    for caller in callers:
        caller.join()


@pytest.mark.usefixtures("web")
def test_host_recovers_quickly_after_a_long_outage(host: Host, proxy: Proxy) -> None:
    """The delay between connection attempts must not grow during the outage."""
    with proxy.down():
        wait_until(lambda: host.status("/readyz") == 503, "503")
        ends_at = time.monotonic() + OUTAGE_S
        while time.monotonic() < ends_at:
            assert host.status("/healthz") == 200
            assert _call(host) == 503
    wait_until(lambda: host.status("/readyz") == 200, "readiness after the outage", READY_AGAIN_S)
    wait_until(lambda: _call(host) == 401, "answers after the outage", READY_AGAIN_S)


def _call(host: Host) -> int:
    """The status code for an API client with an unknown key, which requires a database query."""
    key = {"Authorization": f"Bearer {key_text.new()[2]}", **SECURE, "Host": "localhost"}
    url = f"{host.url}/api/ai/queue?action=stats"
    return httpx2.get(url, headers=key, timeout=60, trust_env=False).status_code


@pytest.mark.usefixtures("web")
def test_read_only_database_makes_the_host_unready(host: Host, database: Postgres) -> None:
    name = urlsplit(database.url).path[1:]
    end_all = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"  # noqa: S608
    administer(f"ALTER DATABASE {name} SET default_transaction_read_only = on", end_all)
    try:
        wait_until(lambda: host.status("/readyz") == 503, "503")
    finally:
        administer(f"ALTER DATABASE {name} RESET default_transaction_read_only")
    wait_until(lambda: host.status("/readyz") == 200, "readiness of the new primary")


def test_stopping_web_server_is_unready_but_still_serves(host: Host, web: subprocess.Popen[bytes]) -> None:
    web.send_signal(signal.SIGTERM)
    wait_until(lambda: host.status("/readyz") == 503, "503")
    assert host.status("/login/", **SECURE, Host="localhost") == 200
    assert web.poll() is None
