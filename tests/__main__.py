"""`python -m tests` runs the whole suite on every available database and reports what it skipped.

`python -m tests quick` runs only the unit tests on SQLite, without the slow ones.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit
from xml.etree import ElementTree

import psycopg

from tests.support.chromium import chromium_path
from tests.support.selection import (
    ON_SQLITE_ALONE,
    POSTGRES_AREAS,
    SCHEMATHESIS,
    SLOW,
    UNIT_AREAS,
    ignoring,
    process_paths,
    shares,
    unit_shares,
)

ROOT = Path(__file__).resolve().parents[1]
POSTGRES_URL = "postgres://postgres@127.0.0.1:5432/aiinfra"
NOTHING_COLLECTED = 5
# With a provider's key in .env, tests would call that provider.
PROVIDER_KEYS = dict.fromkeys(("OPENAI_API_KEY", "DEEPSEEK_API_KEY", "ANTHROPIC_API_KEY"), "")


@dataclass(frozen=True)
class Part:
    """The tests that one pytest process runs on one database."""

    name: str
    selection: str
    paths: tuple[str, ...] = ("tests",)
    is_on_postgres: bool = False
    mostly_waits: bool = False


def _shared(part: Part, shares: Sequence[Sequence[str]]) -> list[Part]:
    """Split a part into several processes. Each collects only its own files and reports its own results."""
    names = (f"{part.name}, {number} of {len(shares)}" for number in range(1, len(shares) + 1))
    return [replace(part, name=name, paths=tuple(paths)) for name, paths in zip(names, shares, strict=True)]


UNIT = Part("unit tests on SQLite", "not browser and not processes")
UNITS = _shared(UNIT, unit_shares())
# Directories that are not collected are not imported either.
QUICK = _shared(
    Part("quick tests on SQLite", f"{UNIT.selection} and not slow"),
    [ignoring(each, SLOW) for each in unit_shares(UNIT_AREAS[:-1])],  # all of the last area is slow
)
UNITS_POSTGRES = _shared(
    Part("unit tests on PostgreSQL", f"{UNIT.selection} and on_postgres", is_on_postgres=True),
    [ignoring(each, ON_SQLITE_ALONE) for each in unit_shares(POSTGRES_AREAS)],
)
BROWSERS = _shared(Part("browser tests on SQLite", "browser", mostly_waits=True), shares(["tests/browser/"], 2))
PROCESSES = _shared(Part("process tests on SQLite", "processes", mostly_waits=True), shares(process_paths(), 3))
PROCESSES_POSTGRES = _shared(
    Part("process tests on PostgreSQL", "processes and on_postgres", is_on_postgres=True, mostly_waits=True),
    shares(process_paths(), 3),
)
HOSTS = _shared(Part("tests of several hosts", "hosts", mostly_waits=True), shares(["tests/hosts/"], 2))
PARTS = [*UNITS, *UNITS_POSTGRES, *PROCESSES, *HOSTS, *BROWSERS, *PROCESSES_POSTGRES]
COMPUTING_AT_ONCE, WAITING_AT_ONCE = 3, 4
"""How many parts run at the same time, in the order of `PARTS`: a mix of both kinds keeps two cores busy to the end."""
SERVERS = ("haproxy", "pgbouncer")
"""What the tests of several hosts need in addition to PostgreSQL."""


@dataclass(frozen=True)
class Result:
    """The outcome of a part, with its elapsed time and the CPU time of all of its processes in seconds."""

    part: Part
    status: int
    wall_s: float
    cpu_s: float
    tests: int
    skipped: Mapping[str, int]
    """Reason -> number of tests."""


def main(arguments: list[str]) -> int:
    """Run the parts that can run on this machine; returns the exit status."""
    if arguments == ["quick"]:
        gap = "slow, process and browser tests, and PostgreSQL: `make test` runs them"
        return _last_word(_run_all(QUICK, ""), [gap], is_failing=False)
    postgres = _postgres()
    missing = set() if chromium_path() else {*BROWSERS}
    missing |= set() if postgres else {*UNITS_POSTGRES, *PROCESSES_POSTGRES, *HOSTS}
    missing |= {*HOSTS} if list(_missing_servers()) else set()
    results = _run_all([part for part in PARTS if part not in missing], postgres)
    return _last_word(results, list(_gaps(missing)), is_failing=bool(os.environ.get("AIINFRA_CI")))


def _run_all(parts: Sequence[Part], postgres: str) -> list[Result]:
    with ThreadPoolExecutor(COMPUTING_AT_ONCE) as computing, ThreadPoolExecutor(WAITING_AT_ONCE) as waiting:
        running = [
            (waiting if part.mostly_waits else computing).submit(_run_and_print, part, postgres) for part in parts
        ]
        return [each.result() for each in running]


def _postgres() -> str:
    """The URL of the PostgreSQL server to test on, or an empty string if none is reachable."""
    url = os.environ.get("TEST_DATABASE_URL", POSTGRES_URL)
    try:
        psycopg.connect(urlsplit(url)._replace(path="/postgres").geturl(), connect_timeout=30).close()
    except psycopg.OperationalError:
        return ""
    return url


def _missing_servers() -> Iterator[str]:
    """Programs that are not installed. Debian installs some in /usr/sbin, which may not be on the PATH."""
    for name in SERVERS:
        if not (shutil.which(name) or shutil.which(name, path="/usr/sbin")):
            yield name


_printing = threading.Lock()


def _run_and_print(part: Part, postgres: str) -> Result:
    """Run a part and print its output at the end, because other parts run at the same time."""
    print(f"===== {part.name}: started", flush=True)
    with tempfile.TemporaryFile("w+") as output:
        result = _run(part, postgres, output.fileno())
        output.seek(0)
        with _printing:
            print(f"\n===== {part.name} =====\n{output.read()}", flush=True)
    return result


def _run(part: Part, postgres: str, output: int) -> Result:
    data_dir = tempfile.mkdtemp(prefix="aiinfra-tests-")
    environment = {**os.environ, **PROVIDER_KEYS, "AIINFRA_DATA_DIR": data_dir}
    environment["DATABASE_URL"] = _database_url(part, postgres) or f"sqlite:///{data_dir}/aiinfra.sqlite3"
    # The tests start hundreds of processes, and each would compile every module again.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    report = Path(data_dir) / "junit.xml"
    command = [sys.executable, "-m", "pytest", "-q", "-m", part.selection, f"--junit-xml={report}", *part.paths]
    unused = ["xdist"] if SCHEMATHESIS in part.paths else ["xdist", "schemathesis"]
    command += [f"-pno:{plugin}" for plugin in unused]
    began_at = time.monotonic()
    try:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        wall_s, cpu_s = time.monotonic() - began_at, usage.ru_utime + usage.ru_stime
        return Result(part, process.returncode, wall_s, cpu_s, *_counts(report))
    finally:
        shutil.rmtree(data_dir, ignore_errors=True)


def _database_url(part: Part, postgres: str) -> str:
    """The URL of the part's own database, because parts run concurrently; empty if it runs on SQLite."""
    address = urlsplit(postgres)
    name = re.sub(r"\W+", "_", part.name).lower()
    return address._replace(path=f"{address.path}_{name}").geturl() if part.is_on_postgres else ""


def _counts(report: Path) -> tuple[int, Counter[str]]:
    """The number of tests, and the number skipped for each reason."""
    if not report.exists():
        return 0, Counter()
    cases = list(ElementTree.parse(report).iter("testcase"))  # noqa: S314 - pytest wrote it
    reasons = (skip.get("message", "") for case in cases for skip in case.iter("skipped"))
    return len(cases), Counter(reasons)


def _gaps(missing: set[Part]) -> Iterator[str]:
    if missing.issuperset(UNITS_POSTGRES):
        yield "PostgreSQL: none answers at TEST_DATABASE_URL or 127.0.0.1:5432; everything ran on SQLite only"
    if missing.issuperset(HOSTS):
        yield f"the tests of several hosts: they need {', '.join(_missing_servers()) or 'PostgreSQL'}"
    if missing.issuperset(BROWSERS):
        yield "the browser tests: Chromium is not installed"


def _last_word(results: Sequence[Result], gaps: Sequence[str], *, is_failing: bool) -> int:
    """Print the durations and what was left out. With `is_failing` (in CI), a gap is a failure."""
    print(f"\n===== all parts: {sum(each.cpu_s for each in results):.0f} s of CPU =====")
    for each in results:
        figures = f"{each.tests:>5} tests {each.wall_s:>5.0f} s {each.cpu_s:>5.0f} s of CPU"
        print(f"{each.part.name:<37} {_verdict(each.status):<8} {figures}")
    for each in results:
        for reason, number in each.skipped.items():
            print(f"LEFT OUT  {number} of the {each.part.name}: {reason}")
    for gap in gaps:
        print(f"LEFT OUT  {gap}")
    is_bad = any(each.status not in (0, NOTHING_COLLECTED) for each in results)
    return int(is_bad or bool(gaps and is_failing))


def _verdict(status: int) -> str:
    return {0: "ok", NOTHING_COLLECTED: "no tests"}.get(status, "FAILED")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
