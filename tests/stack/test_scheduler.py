"""`manage.py scheduler` runs the jobs of every layer, one thread per layer."""

import pytest
from django.core.management import call_command

from aiinfra.batches import retention
from aiinfra.erasure.running import EVERY_S, run_open
from aiinfra.gateway.batches import running as batches
from aiinfra.monitoring.alert_checks import check_alerts
from aiinfra.monitoring.incidents import CHECK_EVERY_S
from aiinfra.scheduled import IfWaiting
from cost_app.finance.invoices.uploads import import_waiting, is_any_waiting


def test_scheduler_runs_every_job(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[object] = []
    monkeypatch.setattr("aiinfra.stack.management.commands.scheduler.run_scheduler", lambda *jobs: given.extend(jobs))
    call_command("scheduler")
    uploads = [(1, IfWaiting(is_any_waiting, import_waiting))]
    of_batches = [retention.jobs(), batches.jobs(), batches.embedding_jobs()]
    assert given == [[(CHECK_EVERY_S, check_alerts)], [(EVERY_S, run_open)], uploads, *of_batches]
    assert CHECK_EVERY_S <= 60  # the health check interval of the specification
