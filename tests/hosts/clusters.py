"""PostgreSQL servers that a test can stop, copy, and promote."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import psycopg
import pytest

from tests.faults.databases import Postgres, fresh_postgres, postgres_template
from tests.support.processes import free_port

DATABASE = "aiinfra"
OPTIONS = ("listen_addresses=127.0.0.1", "fsync=off", "wal_level=replica", "max_wal_senders=4", "hot_standby=on")

AS_POSTGRES = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
"""PostgreSQL refuses to run as root."""


class Server:
    """A server with its own port, and a data directory in `parent`. It trusts all local users."""

    def __init__(self, parent: Path | None = None, **options: str) -> None:
        self.port = free_port()
        self.directory = Path(tempfile.mkdtemp(dir=parent))  # pytest's own directories are closed to other users
        self._data = self.directory / "data"
        self._options = [*OPTIONS, *(f"{name}={value}" for name, value in options.items())]
        if AS_POSTGRES:
            shutil.chown(self.directory, "postgres")

    @property
    def url(self) -> str:
        return f"postgres://postgres@127.0.0.1:{self.port}/{DATABASE}"

    def create(self) -> None:
        """Start the server with a copy of the migrated database."""
        self._run("initdb", "-D", self._data, "-U", "postgres", "--auth=trust", "--no-sync")
        self.start()
        self.execute(f"CREATE DATABASE {DATABASE}", database="postgres")
        with fresh_postgres(postgres_template()) as source:
            restore(self.url, dump(source.url))

    def follow(self, primary: "Server") -> None:
        """Start as a standby of another server. Existing data is deleted."""
        shutil.rmtree(self._data, ignore_errors=True)
        source = ("-h", "127.0.0.1", "-p", primary.port, "-U", "postgres")
        # Otherwise, it waits minutes for the next checkpoint on an idle server.
        self._run("pg_basebackup", "-D", self._data, *source, "-R", "--checkpoint=fast")
        self.start()

    def start(self) -> None:
        """Start the server and wait until it responds."""
        settings = ["port=" + str(self.port), f"unix_socket_directories={self.directory}", *self._options]
        flags = " ".join(f"-c {each}" for each in settings)
        self._run("pg_ctl", "-D", self._data, "-l", self.directory / "log", "-w", "-s", "-o", flags, "start")

    def stop(self) -> None:
        """Stop the server as in a power failure. Has no effect if it is not running."""
        self._run("pg_ctl", "-D", self._data, "-m", "immediate", "-w", "-s", "stop", check=False)

    def is_running(self) -> bool:
        """False if it was stopped or has crashed."""
        return self._run("pg_ctl", "-D", self._data, "status", check=False) == 0

    def remove(self) -> None:
        """Stop the server and delete its data."""
        self.stop()
        shutil.rmtree(self.directory)

    def promote(self) -> None:
        """Promote the standby and wait until it accepts writes."""
        self._run("pg_ctl", "-D", self._data, "-w", "-s", "promote")

    def execute(self, sql: str, database: str = DATABASE) -> None:
        """Run a statement."""
        with psycopg.connect(self.url.replace(f"/{DATABASE}", f"/{database}"), autocommit=True) as connection:
            connection.execute(sql)

    def _run(self, program: str, *arguments: object, check: bool = True) -> int:
        command = [_program(program), *map(str, arguments)]
        done = subprocess.run(
            [*AS_POSTGRES, *command],
            cwd="/",
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        assert not check or done.returncode == 0, f"{program}: {done.stderr}"
        return done.returncode


class Pair(Postgres):
    """A primary and a standby, addressed by a client with both addresses."""

    def __init__(self, first: Server, second: Server) -> None:
        url = f"postgres://postgres@127.0.0.1:{first.port},127.0.0.1:{second.port}/{DATABASE}"
        super().__init__(url, None)

    def rows(self, sql: str) -> list[tuple[object, ...]]:
        """Query the server that accepts writes."""
        return Postgres(self.url + "?target_session_attrs=read-write", None).rows(sql)


def dump(url: str) -> bytes:
    """Dump the whole database with `pg_dump`."""
    return subprocess.run([_program("pg_dump"), url], capture_output=True, check=True).stdout


def restore(url: str, dumped: bytes) -> None:
    """Fill an empty database with a dump."""
    command = [_program("psql"), "-q", "-v", "ON_ERROR_STOP=1", url]
    subprocess.run(command, input=dumped, stdout=subprocess.DEVNULL, check=True)


def _program(name: str) -> str:
    """The newest installed version. Debian does not put the server's programs on the PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[4]))
    program = str(found[-1]) if found else shutil.which(name)
    if program is None:
        pytest.fail(f"this test needs {name}: apt-get install postgresql")
    return program
