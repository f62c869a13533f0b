"""The scheduler runs cheap checks for work and wakes a job's lane only when there is some."""

import math
import threading
from collections.abc import Callable

import pytest

from aiinfra.scheduled import IfWaiting
from queue_app import scheduler
from queue_app.scheduler import Job, Pause

pytestmark = pytest.mark.django_db

LONG_S = 3600.0


class Work:
    """Counts its checks and runs. A run does all pending work."""

    def __init__(self) -> None:
        self.waits, self.checks, self.runs = False, 0, 0

    def is_waiting(self) -> bool:
        self.checks += 1
        return self.waits

    def run(self) -> None:
        self.runs += 1
        self.waits = False


def test_job_runs_only_when_work_is_waiting() -> None:
    work = Work()
    job = IfWaiting(work.is_waiting, work.run)
    job()
    assert work.runs == 0
    work.waits = True
    job()
    assert work.runs == 1


def test_work_wakes_the_lane_of_its_job_once() -> None:
    work, pause = Work(), Pause()
    job = Job(LONG_S, IfWaiting(work.is_waiting, work.run))
    (check,) = scheduler._checks([([job], pause)])
    job.run_if_due()
    check.run()
    job.run_if_due()
    assert (job.due, work.runs) == (math.inf, 0)
    work.waits = True
    check.run()
    pause.wait(LONG_S)
    job.run_if_due()
    assert (job.due, work.runs) == (math.inf, 1)


def test_work_left_by_a_failed_job_is_found_again() -> None:
    work, pause = Work(), Pause()
    work.waits = True

    def fail() -> None:
        work.runs += 1
        raise ZeroDivisionError

    job = Job(LONG_S, IfWaiting(work.is_waiting, fail))
    (check,) = scheduler._checks([([job], pause)])
    for _ in range(2):
        check.run()
        pause.wait(LONG_S)
        job.run_if_due()
    assert work.runs == 2


def test_jobs_with_a_shared_check_are_checked_once_and_run_together() -> None:
    work, pauses = Work(), [Pause(), Pause()]
    jobs = [Job(1, IfWaiting(work.is_waiting, run)) for run in (work.run, work.run)]
    checks = scheduler._checks(list(zip(([each] for each in jobs), pauses, strict=True)))
    assert len(checks) == 1
    work.waits = True
    checks[0].run()
    assert work.checks == 1
    assert [job.due for job in jobs] == [0.0, 0.0]
    for pause in pauses:
        pause.wait(LONG_S)


def test_job_with_fixed_times_has_no_check() -> None:
    assert scheduler._checks([([Job(1, Work().run)], Pause())]) == []


@pytest.mark.parametrize(("result", "due"), [(False, 10.5), (True, 10.25), (None, 10.25)])
def test_job_without_work_waits_longer(monkeypatch: pytest.MonkeyPatch, result: bool | None, due: float) -> None:
    monkeypatch.setattr(scheduler.time, "monotonic", lambda: 10.0)
    job = Job(0.25, lambda: result, idle_s=0.5)
    job.run_if_due()
    assert job.due == due


def test_stop_reaches_lanes_that_wait_indefinitely(monkeypatch: pytest.MonkeyPatch) -> None:
    work, started = Work(), threading.Event()

    def stop_immediately(jobs: object, stopping: object, sleep: Callable[[float], object]) -> None:
        if threading.current_thread() is threading.main_thread():
            started.wait()
            return
        started.set()
        sleep(math.inf)

    monkeypatch.setattr(scheduler, "lanes", lambda *_: [[], [Job(1, IfWaiting(work.is_waiting, work.run))]])
    monkeypatch.setattr(scheduler, "_run", stop_immediately)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    scheduler.run_scheduler()
