"""`python -m tests`: every floor of the suite on every database that is here, and a last word on what was left out."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

ROOT = Path(__file__).resolve().parents[1]
POSTGRES_URL = "postgres://postgres@127.0.0.1:5432/aiinfra"
CHROMIUM = "/usr/bin/chromium"
NOTHING_COLLECTED = 5
# A provider's key in .env would send the tests' calls to that provider.
PROVIDER_KEYS = dict.fromkeys(("OPENAI_API_KEY", "DEEPSEEK_API_KEY", "ANTHROPIC_API_KEY"), "")


@dataclass(frozen=True)
class Floor:
    """A part of the suite that is run by itself."""

    name: str
    selection: str
    options: tuple[str, ...] = ()


UNIT = Floor("unit", "not browser and not faults", ("-n", "2"))
BROWSER = Floor("browser", "browser", ("-n", "2"))
FAULTS = Floor("faults", "faults", ("-n", "3"))  # most of their time they wait


def main() -> int:
    """Run everything that can run here; returns the exit status."""
    postgres = _postgres()
    databases = {"SQLite": "", **({"PostgreSQL": postgres} if postgres else {})}
    floors = [UNIT, BROWSER, FAULTS] if Path(CHROMIUM).exists() else [UNIT, FAULTS]
    results = {}
    for floor in floors:
        for number, (name, url) in enumerate(databases.items()):
            selection = f"({floor.selection}) and not no_database" if number else floor.selection
            results[f"{floor.name} on {name}"] = _run(floor, selection, name, url)
    gaps = list(_gaps(has_postgres=bool(postgres), has_browser=BROWSER in floors))
    return _last_word(results, gaps)


def _postgres() -> str:
    """The address of the server to test on, or nothing where none answers."""
    url = os.environ.get("TEST_DATABASE_URL", POSTGRES_URL)
    try:
        psycopg.connect(urlsplit(url)._replace(path="/postgres").geturl(), connect_timeout=3).close()
    except psycopg.OperationalError:
        return ""
    return url


def _run(floor: Floor, selection: str, database: str, url: str) -> int:
    print(f"\n===== {floor.name} tests on {database} =====", flush=True)
    data_dir = tempfile.mkdtemp(prefix="aiinfra-tests-")
    environment = {"AIINFRA_DATA_DIR": data_dir, "DATABASE_URL": url or f"sqlite:///{data_dir}/aiinfra.sqlite3"}
    command = [sys.executable, "-m", "pytest", "-q", "-m", selection, *floor.options]
    try:
        return subprocess.run(
            command, cwd=ROOT, env={**os.environ, **PROVIDER_KEYS, **environment}, check=False
        ).returncode
    finally:
        shutil.rmtree(data_dir, ignore_errors=True)


def _gaps(*, has_postgres: bool, has_browser: bool) -> Iterator[str]:
    if not has_postgres:
        yield "PostgreSQL: none answers at TEST_DATABASE_URL or 127.0.0.1:5432; everything ran on SQLite only"
    if not has_browser:
        yield f"the browser tests: there is no {CHROMIUM}"


def _last_word(results: dict[str, int], gaps: list[str]) -> int:
    """A gap is a failure where nobody reads the output: with AIINFRA_CI set."""
    print("\n===== all floors =====")
    for name, status in results.items():
        print(f"{name:<24} {_verdict(status)}")
    for gap in gaps:
        print(f"LEFT OUT  {gap}")
    is_bad = any(status not in (0, NOTHING_COLLECTED) for status in results.values())
    return int(is_bad or bool(gaps and os.environ.get("AIINFRA_CI")))


def _verdict(status: int) -> str:
    return {0: "ok", NOTHING_COLLECTED: "no tests"}.get(status, "FAILED")


if __name__ == "__main__":
    sys.exit(main())
