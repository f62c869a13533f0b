"""`manage.py scheduler` runs the jobs of every layer."""

import pytest
from django.core.management import call_command

from aiinfra.erasure.running import EVERY_S, run_open
from aiinfra.monitoring.alert_checks import check_alerts
from aiinfra.monitoring.incidents import LOOK_EVERY_S
from cost_app.finance.invoices.uploads import import_waiting


def test_it_watches_the_product_in_a_thread_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[object] = []
    monkeypatch.setattr("aiinfra.stack.management.commands.scheduler.run_scheduler", lambda *jobs: given.extend(jobs))
    call_command("scheduler")
    assert given == [[(LOOK_EVERY_S, check_alerts)], [(EVERY_S, run_open)], [(1, import_waiting)]]
    assert LOOK_EVERY_S <= 60  # the specification's interval of a health check
