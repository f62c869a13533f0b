"""A complete installation on free ports and in a temporary directory, for one benchmark."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from aiinfra.stack.bundled_redis import redis_binary, server_command, write_configuration
from tests.support.processes import ROOT, free_port, start
from tests.support.template import template_path

POSTGRESQL = os.environ.get("TEST_DATABASE_URL", "postgres://postgres@127.0.0.1:5432/postgres")
SCRATCH_DATABASE = "aiinfra_benchmark"


@dataclass(frozen=True)
class Installation:
    """The installation's URL and the environment of its processes."""

    url: str
    api_key: str
    env: dict[str, str]

    def manage(self, *arguments: str) -> str:
        """The output of a management command."""
        return manage(self.env, *arguments)


def manage(env: dict[str, str], *arguments: str) -> str:
    """Run a management command in an installation's environment and return its output."""
    command = [sys.executable, "manage.py", *arguments]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, **env}, check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout


def databases() -> list[str]:
    """The databases that are available."""
    try:
        psycopg.connect(POSTGRESQL, connect_timeout=2).close()
    except psycopg.OperationalError:
        print(f"PostgreSQL is not responding at {POSTGRESQL}: only SQLite is measured")
        return ["sqlite"]
    return ["sqlite", "postgresql"]


@contextmanager
def installation(database: str, *, web: bool = True, latency_ms: int = 500) -> Iterator[Installation]:
    """Redis with AOF, the sandbox provider, a migrated database with one organization, and the web server."""
    with ExitStack() as running, tempfile.TemporaryDirectory() as folder:
        env = _environment(Path(folder), _database_url(database, Path(folder)))
        write_configuration(_port(env["REDIS_URL"]), Path(folder))
        running.enter_context(start([*server_command(redis_binary(), Path(folder)), "--logfile", "redis.log"]))
        sandbox = [sys.executable, "-m", "aiinfra.providers.sandbox", "--port", env["SANDBOX_PORT"]]
        book = {"SANDBOX_LATENCY_MS": str(latency_ms), "SANDBOX_BOOK": f"{folder}/book.jsonl"}
        running.enter_context(start(sandbox, book, f"http://127.0.0.1:{env['SANDBOX_PORT']}/sandbox/book"))
        manage(env, "migrate", "-v0")
        manage(env, "createorg", "bench")
        key = manage(env, "createapikey", "bench", "--name", "bench", "--role", "admin").split()[-1]
        url = f"http://127.0.0.1:{env['PORT']}"
        if web:
            manage(env, "collectstatic", "--no-input", "-v0")
            server = [sys.executable, "-m", "gunicorn", "-c", "python:aiinfra.stack.gunicorn", "aiinfra.wsgi"]
            running.enter_context(start(server, env, f"{url}/readyz"))
        yield Installation(url, key, env)


def _environment(folder: Path, database_url: str) -> dict[str, str]:
    return {
        "PORT": str(free_port()),
        "SANDBOX_PORT": str(free_port()),
        "REDIS_URL": f"redis://127.0.0.1:{free_port()}/0",
        "DATABASE_URL": database_url,
        "AIINFRA_DATA_DIR": str(folder),
        "LOG_LEVEL": "ERROR",
    }


def _port(url: str) -> int:
    return int(url.rsplit(":", 1)[1].split("/")[0])


def _database_url(database: str, folder: Path) -> str:
    if database == "sqlite":
        if template_path().exists():  # the tests' migrated database; without it, migrating takes half a minute
            shutil.copyfile(template_path(), folder / "benchmark.sqlite3")
        return f"sqlite:///{folder}/benchmark.sqlite3"
    with psycopg.connect(POSTGRESQL, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {SCRATCH_DATABASE} WITH (FORCE)")
        connection.execute(f"CREATE DATABASE {SCRATCH_DATABASE}")
    return POSTGRESQL.rsplit("/", 1)[0] + f"/{SCRATCH_DATABASE}"


__all__ = ["Installation", "databases", "installation", "manage", "start"]
