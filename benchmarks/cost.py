"""Benchmark of the cost engine: price lookups, and pages over a long ledger. `table.py` prints the bookings.

Run with `make bench` or `python benchmarks/cost.py`; `ROWS=10000000` for the full ledger. Nothing is simulated:
SQLite, PostgreSQL, separate processes, gunicorn. Each figure has a baseline: the same without budgets and rollups, a
bare conditional UPDATE, or the same pages over a short ledger.
"""

import sys
from pathlib import Path

# Python puts the folder of a script first in its path, where `queue.py` would hide the standard library's `queue`.
sys.path[0] = str(Path(__file__).resolve().parent.parent)

import http.client
import os
import statistics
import subprocess
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

import psutil

from benchmarks._installation import Installation, databases, installation, manage
from tests.support.processes import ROOT

ROWS = int(os.environ.get("ROWS", "200000"))
SHORT_ROWS = 10_000
DAYS = 365
CYCLES = 300
PROCESSES = 8
SECONDS = 5
REQUESTS = 40
TARGETS = {"price_us": 50, "page_ms": 50}


def run_script(env: dict[str, str], script: str) -> str:
    """Run a script in an installation and return its output."""
    return manage(env, "shell", "--no-imports", "-c", script)


LOOK_UP = """
import timeit
from cost_app.prices.lookup import price_of
price_of("deepseek", "deepseek-v4-pro")
look = lambda: price_of("deepseek", "deepseek-v4-pro")
print(min(timeit.repeat(look, number=20_000, repeat=5)) / 20_000 * 1e6)
"""

PREPARE_CALLS = """
from datetime import timedelta
from unittest.mock import patch
from uuid import uuid4
from django.db import transaction
from aiinfra.providers.base import TokenUsage
from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope
from cost_app.budgets.manage import set_budget
from cost_app.budgets.terms import BudgetTerms
from cost_app.ledger import attempts
from cost_app.ledger.admission import AttemptOrder, open_attempt
from cost_app.models import Enforcement, LedgerEntry

QUESTION = "Summarise our scope 2 emissions of last quarter by site and name the three largest changes. " * 8
MESSAGES = [{"role": "user", "content": QUESTION}]
USAGE = TokenUsage(input=180, output=120)

def cycle(organization_id):
    order = AttemptOrder(organization_id, "deepseek", "deepseek-chat", MESSAGES, 500, request_id=uuid4(), tags=["web"])
    with transaction.atomic():
        attempt = open_attempt(order)
    attempts.dispatch(attempt, timedelta(seconds=30))
    attempts.settle(attempt, USAGE, {})

def budget(organization_id, period, **terms):
    with organization_scope(organization_id):
        set_budget(
            organization_id=organization_id, actor="command:benchmark",
            terms=BudgetTerms(period, 10**16, enforcement=Enforcement.BLOCK, **terms),
        )
"""

BOOK_CALLS = """
import os, statistics, time
full, plain = (Organization.objects.get(slug=slug).id for slug in ("bench", "plain"))
budget(full, "daily")
budget(full, "monthly", scope="tag", scope_value="web")
budget(full, "monthly", scope="model", scope_value="deepseek/deepseek-chat")

def timed(organization_id):
    with organization_scope(organization_id):
        began = time.perf_counter()
        cycle(organization_id)
        return (time.perf_counter() - began) * 1000

def timed_plain():
    with patch.object(attempts, "book_entry", lambda **columns: LedgerEntry.objects.create(**columns)):
        return timed(plain)

times = [(timed(full), timed_plain()) for _ in range(int(os.environ["CYCLES"]) + 20)][20:]
print(*(statistics.median(each) for each in zip(*times)))
"""

HOT_CALLS = """
import os, time
mine = Organization.objects.get(slug="bench").id
with organization_scope(mine):
    cycle(mine)
    time.sleep(max(0, float(os.environ["BEGIN"]) - time.time()))
    end, count = time.perf_counter() + float(os.environ["SECONDS"]), 0
    while time.perf_counter() < end:
        cycle(mine)
        count += 1
print(count)
"""

HOT_HOLDS = """
import os, time
from django.utils import timezone
from cost_app.budgets.holds import close, reserve
from cost_app.budgets.windows import windows_for
from cost_app.models import Attempt
mine = Organization.objects.get(slug="bench").id
with organization_scope(mine):
    ready = [
        Attempt(organization_id=mine, provider="deepseek", model="deepseek-chat", bound_nano=9, cost_nano=5)
        for _ in range(4_000)
    ]
    Attempt.objects.bulk_create(ready)
    windows = windows_for(ready[0], timezone.now())
    time.sleep(max(0, float(os.environ["BEGIN"]) - time.time()))
    end, count = time.perf_counter() + float(os.environ["SECONDS"]), 0
    while time.perf_counter() < end:
        attempt = ready.pop()
        with transaction.atomic():
            reserve(attempt, windows)
        with transaction.atomic():
            close(attempt, attempt.cost_nano)
        count += 1
print(count)
"""

HOT_UPDATES = """
import os, time
from django.db import connection
from cost_app.models import BudgetWindow
mine = Organization.objects.get(slug="bench").id
with organization_scope(mine):
    cycle(mine)
    window = BudgetWindow.objects.get().id
TABLE = "cost_app_budgetwindow"
FITS = "committed_nano + reserved_nano < limit_nano"
HOLD = f"UPDATE {TABLE} SET reserved_nano = reserved_nano + 1 WHERE id = %s AND {FITS}"
FREE = f"UPDATE {TABLE} SET reserved_nano = reserved_nano - 1, committed_nano = committed_nano + 1 WHERE id = %s"
time.sleep(max(0, float(os.environ["BEGIN"]) - time.time()))
end, count = time.perf_counter() + float(os.environ["SECONDS"]), 0
with connection.cursor() as cursor:
    while time.perf_counter() < end:
        cursor.execute(HOLD, [window])
        cursor.execute(FREE, [window])
        count += 1
print(count)
"""

HOT_BUDGET = 'budget(Organization.objects.get(slug="bench").id, "monthly")'

LOG_IN = """
import os
from django.test import Client
from aiinfra.tenants.authorization import Role
from aiinfra.tenants.models import Membership, Organization, User
organization = Organization.objects.get(slug=os.environ["SLUG"])
user = User.objects.create_user(organization.slug)
Membership.objects.create(organization=organization, user=user, role=Role.OWNER)
client = Client()
client.force_login(user)
print(client.cookies["sessionid"].value)
"""


def at_once(env: dict[str, str], script: str) -> float:
    """Cycles per second of several processes that run a script at the same time."""
    shared = {**os.environ, **env, "BEGIN": str(time.time() + 6), "SECONDS": str(SECONDS)}
    command = [sys.executable, "manage.py", "shell", "--no-imports", "-c", PREPARE_CALLS + script]
    running = [subprocess.Popen(command, cwd=ROOT, env=shared, stdout=subprocess.PIPE) for _ in range(PROCESSES)]
    said = [process.communicate()[0] for process in running]
    assert all(process.returncode == 0 for process in running)
    return sum(int(text) for text in said) / SECONDS


def verdict(value: float, target: float) -> str:
    """Whether a figure meets its target."""
    return f"target <= {target}: {'kept' if value <= target else 'MISSED'}"


def say(name: str, value: float, unit: str, note: str = "") -> None:
    """A line of the first tables."""
    print(f"  {name:34}{value:10,.2f} {unit:8}{note}", flush=True)


def bench_lookups() -> None:
    """The price of a model."""
    for database in databases():
        with installation(database, web=False) as at:
            microseconds = float(run_script(at.env, LOOK_UP))
            say(f"price lookup, {database}", microseconds, "us", verdict(microseconds, TARGETS["price_us"]))


@dataclass(frozen=True)
class Booking:
    """Milliseconds of a call's bookings, p50: attempt and ledger alone, and with three budget windows and the sums."""

    plain: float
    full: float


def booking(at: Installation) -> Booking:
    """Admit, dispatch and settle, with three budget windows and rollups, and without both."""
    at.manage("createorg", "plain")
    said = run_script({**at.env, "CYCLES": str(CYCLES)}, PREPARE_CALLS + BOOK_CALLS)
    full, plain = map(float, said.split())
    return Booking(plain, full)


@dataclass(frozen=True)
class HotWindow:
    """Cycles per second of 8 processes on one window: only the two UPDATEs, reserve and settle, complete calls."""

    bare: float
    cycles: float
    calls: float


def hot_window(at: Installation) -> HotWindow:
    """Measure all three."""
    run_script(at.env, PREPARE_CALLS + HOT_BUDGET)
    return HotWindow(at_once(at.env, HOT_UPDATES), at_once(at.env, HOT_HOLDS), at_once(at.env, HOT_CALLS))


def pages() -> list[str]:
    """The selected databases that are available."""
    today = time.gmtime()
    before = f"{today.tm_year - (today.tm_mon == 1)}-{(today.tm_mon - 2) % 12 + 1:02}-01"
    periods = [f"/api/ai/cost?action=metrics&period={period}" for period in ("hourly", "daily", "weekly", "monthly")]
    screens = ["costs", "budgets", "alerts", "recommendations", "prices"]
    papers = ["finance", "finance/exports", "finance/invoices"]
    return [
        "/api/ai/cost?action=summary",
        *periods,
        *[f"/{name}/" for name in [*screens, *papers]],
        f"/finance/statements/{before}/",
        f"/finance/statements/{before}/csv/",
    ]


def p50(at: Installation, path: str, session: str) -> float | None:
    """Median milliseconds of a page over a keep-alive connection. None if the page doesn't exist."""
    connection = http.client.HTTPConnection(urlsplit(at.url).netloc)
    times = []
    for _ in range(REQUESTS + 3):
        began = time.perf_counter()
        connection.request("GET", path, headers={"Cookie": f"sessionid={session}"})
        answer = connection.getresponse()
        answer.read()
        times.append((time.perf_counter() - began) * 1000)
        if answer.status == 404:
            return None
        assert answer.status == 200, (path, answer.status)
    return statistics.median(times[3:])


def bench_pages() -> None:
    """Every spend page over a long ledger, compared with a short one."""
    for database in databases():
        with installation(database) as at:
            at.manage("createorg", "short")
            sessions = {}
            for slug, rows in (("short", SHORT_ROWS), ("bench", ROWS)):
                began = time.perf_counter()
                at.manage("demo_history", slug, "--force", f"--days={DAYS}", f"--requests={rows}")
                seconds = time.perf_counter() - began
                sessions[slug] = run_script({**at.env, "SLUG": slug}, LOG_IN).split()[-1]
                print(f"\n{database}: {rows:,} requests in {seconds:.1f} s = {rows / seconds:,.0f} a second", end="")
            print(f"\n  {'p50 in ms over a ledger of':46}{SHORT_ROWS:>12,}{ROWS:>14,}{'ratio':>8}")
            for path in pages():
                short, long = p50(at, path, sessions["short"]), p50(at, path, sessions["bench"])
                if short and long:
                    kept = verdict(long, TARGETS["page_ms"])
                    print(f"  {path:46}{short:12.1f}{long:14.1f}{long / short:8.2f}  {kept}", flush=True)
            bench_export(at, sessions["bench"])


def bench_export(at: Installation, session: str) -> None:
    """The whole ledger as CSV: speed, and growth of the web server's memory in the second run."""
    export(at, session)
    before = web_memory(at)
    lines, first, seconds = export(at, session)
    grown = (web_memory(at) - before) / 1e6
    print(f"  ledger export: {lines:,} lines, {lines / seconds:,.0f} a second, first byte after {first * 1000:.0f} ms;")
    print(f"  the web server grew by {grown:.0f} MB")


def export(at: Installation, session: str) -> tuple[int, float, float]:
    """(lines, seconds until the first byte, total seconds)."""
    connection = http.client.HTTPConnection(urlsplit(at.url).netloc)
    path = "/finance/exports/file/?kind=ledger&first=2020-01-01&last=2100-01-01"
    began = time.perf_counter()
    connection.request("GET", path, headers={"Cookie": f"sessionid={session}"})
    answer = connection.getresponse()
    first = time.perf_counter() - began
    lines = 0
    while chunk := answer.read(1 << 20):
        lines += chunk.count(b"\n")
    return lines, first, time.perf_counter() - began


def web_memory(at: Installation) -> int:
    """Resident bytes of the installation's web processes."""
    port = int(at.env["PORT"])
    listening = {each.pid for each in psutil.net_connections("tcp") if each.laddr and each.laddr.port == port}
    return sum(psutil.Process(pid).memory_info().rss for pid in listening if pid)


def main() -> None:
    """Run all benchmarks in turn."""
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    print(f"{os.cpu_count()} cores, {psutil.virtual_memory().total / 1e9:.0f} GB, load before {load}")
    bench_lookups()
    bench_pages()


if __name__ == "__main__":
    main()
