"""The cost of recurring work does not grow with history: it reads pending rows, not finished ones.

Every statement of the scheduler's jobs, of a request's lifecycle, and of polled URLs runs again on a long history,
and the test counts what it reads. New jobs and tables are covered automatically.
"""

from collections.abc import Callable, Iterator

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.test import Client
from pytest_django import DjangoDbBlocker

from aiinfra.tenants.models import Organization, User
from queue_app import scheduler
from queue_app.models import AIRequest
from queue_app.ordering.claims import claim_next, renew
from queue_app.processing.provider_call import process
from queue_app.scheduler import Job
from queue_app.stats.tenant_load import top_loads
from tests.growth.history import make_long_history
from tests.growth.reading import LIMIT, Statement, reads_of, recorded
from tests.queue_app.conftest import (  # noqa: F401 - fixtures
    ScriptedProvider,
    _no_provider_keys,
    provider,
    queue,
    submit,
)

pytestmark = pytest.mark.usefixtures("queue")

HOURLY_S = 3600
"""Jobs that run less often can read the weeks or months that they process or clean up."""
BOUNDED_ELSEWHERE = ('FROM "cost_app_ledgerentry" WHERE "cost_app_ledgerentry"."kind" IN',)
"""Runs after Redis has lost its data: reads backward from the newest entry and stops a minute back."""
POLLED_URLS = (
    "/queue/",
    "/queue/requests/",
    "/queue/batches/",
    "/queue/figures/throughput/",
    "/queue/figures/times/",
    "/budgets/",
    "/cache/",
    "/alerts/",
    "/alerts/count/",
    "/providers/",
    "/api/ai/queue?action=stats",
    "/api/ai/health",
    "/healthz",
    "/readyz",
)
"""URLs that pages and monitoring systems poll."""


@pytest.fixture(scope="module")
def long_history(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Organization]:
    """An organization with a long history, created once for these tests."""
    with django_db_blocker.unblock(), transaction.atomic():
        organization = Organization.objects.create(slug="north", name="North Ltd")
        make_long_history(organization)
        yield organization
        transaction.set_rollback(True)


@pytest.fixture
def organization(long_history: Organization, db: None) -> Organization:
    """Overrides the organization without a history."""
    return long_history


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> list[Job]:
    """All jobs that `manage.py scheduler` runs."""
    found: list[Job] = []
    monkeypatch.setattr(scheduler, "_run", lambda jobs, *_: found.extend(jobs))
    monkeypatch.setattr("signal.signal", lambda *_: None)
    call_command("scheduler")
    return found


def check(name: str, run: Callable[[], object]) -> Iterator[str]:
    """A description with the plan for each statement of `run` that reads too much."""
    statements: dict[str, Statement] = {}
    with recorded(statements):
        run()
    for sql, statement in statements.items():
        if not any(each in sql for each in BOUNDED_ELSEWHERE):
            number, plan = reads_of(statement)
            if number > LIMIT[connection.vendor]:
                yield f"{name} reads {number}: {sql}\n{plan}\n"


def test_no_job_scans_the_history(jobs: list[Job], submit: Callable[..., AIRequest]) -> None:  # noqa: F811
    submit()
    recurring = [job for job in jobs if job.every_s < HOURLY_S]
    assert len(recurring) > 20
    found = [text for job in recurring for text in check(job.run.__qualname__, job.run)]
    assert not found, "\n".join(found)


def test_no_step_of_a_request_scans_the_history(
    submit: Callable[..., AIRequest],  # noqa: F811
    provider: ScriptedProvider,  # noqa: F811
) -> None:
    def work() -> None:
        claim = claim_next("worker")
        assert claim is not None
        renew([(claim.request.id, claim.attempt_number)])
        process(claim)

    found = [*check("accept", submit), *check("work", work)]
    assert len(provider.calls) == 1
    assert not found, "\n".join(found)


def test_no_polled_url_scans_the_history(
    owner: User,
    client_of: Callable[[User], Client],
    submit: Callable[..., AIRequest],  # noqa: F811
) -> None:
    submit()
    client = client_of(owner)

    def ask(address: str) -> None:
        assert client.get(address).status_code == 200, address

    found = [text for address in POLLED_URLS for text in check(address, lambda each=address: ask(each))]
    found += check("organizations chart", top_loads)
    assert not found, "\n".join(found)
