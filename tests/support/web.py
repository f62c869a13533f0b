"""The real web server on the test's own database and Redis."""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from pytest_django.fixtures import Settings

from tests.support.processes import free_port, start, stop
from tests.support.race import PROVIDER_KEYS, database_url


@dataclass
class Web:
    """A running gunicorn."""

    url: str
    port: int
    pid: int
    stop: Callable[[], int]


@pytest.fixture
def serve(redis_url: str, settings: Settings, tmp_path: Path) -> Iterator[Callable[..., Web]]:
    """Starts the web server with environment variables."""
    with ExitStack() as running:

        def begin(**environment: str) -> Web:
            port = free_port()
            variables = {
                "PORT": str(port),
                "AIINFRA_DATA_DIR": str(tmp_path),
                "DATABASE_URL": database_url(),
                "REDIS_URL": redis_url,
                "SECRET_KEY": settings.SECRET_KEY,
                "API_KEY_PEPPER": settings.API_KEY_PEPPER,
                "DJANGO_SETTINGS_MODULE": "aiinfra.settings",
                "WEB_LAME_DUCK_S": "0",
                "WEB_DRAIN_S": "10",
                **PROVIDER_KEYS,
                **environment,
            }
            command = [sys.executable, "-m", "gunicorn", "-c", "python:aiinfra.stack.gunicorn", "aiinfra.wsgi"]
            url = f"http://127.0.0.1:{port}"
            process = running.enter_context(start(command, variables, f"{url}/readyz"))

            def end() -> int:
                stop(process)
                return int(process.returncode)

            return Web(url, port, process.pid, end)

        yield begin
