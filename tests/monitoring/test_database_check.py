"""A full database disk is reported with its cause by errors, probes, health, doctor, and alerts."""

import sqlite3
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import OperationalError, connection, transaction
from django.test import Client
from django.utils import timezone
from psycopg.errors import DiskFull

from aiinfra import full_disk
from aiinfra.failures import failure_of
from aiinfra.monitoring import readiness
from aiinfra.monitoring.database_check import database_obstacle, has_room
from aiinfra.monitoring.health import installation_health
from aiinfra.monitoring.problems import health_problems
from aiinfra.redis import redis_client
from queue_app.facade import Pressure

pytestmark = pytest.mark.django_db
REFUSE = "DO $$ BEGIN RAISE EXCEPTION 'No space left on device' USING ERRCODE = 'disk_full'; END $$"


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk: SQLite needs more space than there is, or PostgreSQL has rejected a write."""
    reset_refusals(monkeypatch)
    if connection.vendor == "sqlite":
        monkeypatch.setattr(full_disk, "ROOM_BYTES", 2**62)
    else:
        with pytest.raises(OperationalError), transaction.atomic():
            connection.cursor().execute(REFUSE)


def reset_refusals(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reset the recorded refusals of this process for the test."""
    monkeypatch.setattr(full_disk, "_refused_at", -full_disk.REMEMBERED_S)
    monkeypatch.setattr(full_disk, "_published_at", -full_disk.PUBLISH_EVERY_S)


def test_database_with_free_space_has_no_problem() -> None:
    assert (database_obstacle(), has_room(), readiness.check_now()) == ("", True, "")
    assert failure_of(OperationalError()).message.startswith("The database is unreachable.")


@pytest.mark.usefixtures("full", "redis_url")
def test_health_alerts_and_doctor_name_the_cause() -> None:
    health = installation_health(Pressure(), timezone.now())
    assert not health.checks.database
    assert "databaseProblem" not in health.model_dump(by_alias=True)
    (problem,) = health_problems(health)
    assert full_disk.FULL in problem.message
    output = StringIO()
    with pytest.raises(SystemExit):
        call_command("doctor", stdout=output)
    assert f"FAILED  {full_disk.FULL.capitalize()}" in output.getvalue()


@pytest.mark.usefixtures("full")
def test_full_disk_makes_the_process_unready_and_is_named_to_clients() -> None:
    assert readiness.check_now() == full_disk.FULL
    error = failure_of(OperationalError("database or disk is full"))
    assert (error.status, error.headers["Retry-After"]) == (503, "5")
    assert error.message == f"{full_disk.FULL.capitalize()}. Try again with the same Idempotency-Key."


@pytest.mark.usefixtures("full")
def test_full_disk_is_named_on_error_pages(client: Client) -> None:
    client.raise_request_exception = False
    with connection.execute_wrapper(refuse):
        page = client.get("/login/")
    assert (page.status_code, page["Retry-After"]) == (503, "5")
    assert f"{full_disk.FULL.capitalize()}. Queued requests are safe." in page.content.decode()


def refuse(*_: object) -> None:
    raise OperationalError("database or disk is full")


@pytest.mark.usefixtures("full")
def test_other_errors_have_their_own_cause() -> None:
    assert failure_of(ValueError()).status == 500


@pytest.mark.usefixtures("full", "redis_url")
def test_refusal_is_shared_with_other_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OperationalError), connection.wrap_database_errors:
        raise sqlite3.OperationalError if connection.vendor == "sqlite" else DiskFull
    reset_refusals(monkeypatch)
    ago = full_disk.refused_s_ago()
    assert ago is not None
    assert 0 <= ago < full_disk.REMEMBERED_S
    redis_client().delete(full_disk.KEY)
    assert full_disk.refused_s_ago() is None


@pytest.mark.usefixtures("redis_url")
def test_refusal_is_shared_once_per_second(monkeypatch: pytest.MonkeyPatch) -> None:
    reset_refusals(monkeypatch)
    full_disk.note_refusal()
    redis_client().delete(full_disk.KEY)
    full_disk.note_refusal()
    assert not redis_client().exists(full_disk.KEY)
    assert full_disk.refused_s_ago() is not None
