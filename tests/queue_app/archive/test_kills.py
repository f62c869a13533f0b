"""Killing a run at any step loses no request and no money, and the next run finishes the work."""

import os
import shutil
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction

from aiinfra.tenants.models import Organization
from cost_app import create_cost_optimizer
from cost_app.models import Attempt, LedgerEntry
from queue_app.archive import files, moving
from queue_app.archive.files import UNFINISHED, alone_in
from queue_app.models import AIRequest, ArchivedMonth
from tests.queue_app.archive.conftest import OCTOBER, archive

pytestmark = pytest.mark.usefixtures("scoped")
cost = create_cost_optimizer()


class KilledError(BaseException):
    """Passes through every `except Exception`, as a kill does."""


class Steps:
    """Counts a run's disk and database operations, and kills it before operation number `last`."""

    def __init__(self, last: int) -> None:
        self.done, self._last = 0, last

    def before(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def step(*arguments: Any, **named: Any) -> Any:
            if self.done >= self._last:
                raise KilledError
            self.done += 1
            return function(*arguments, **named)

        return step


def run_until(step: int, organization: Organization, root: Path, patch: pytest.MonkeyPatch) -> bool:
    """Whether the run finished before that step."""
    steps = Steps(step)
    patch.setattr(os, "fsync", steps.before(os.fsync))
    patch.setattr(Path, "rename", steps.before(Path.rename))
    patch.setattr(files, "text_of", steps.before(files.text_of))
    patch.setattr(moving, "_note", steps.before(moving._note))
    patch.setattr(moving, "_delete_unchanged", steps.before(moving._delete_unchanged))
    patch.setattr(moving.audit, "record", steps.before(moving.audit.record))
    patch.setattr(AIRequest.objects, "filter", steps.before(AIRequest.objects.filter))
    patch.setattr(type(cost), "forget_unsent", staticmethod(steps.before(cost.forget_unsent)))
    patch.setattr(shutil, "rmtree", lambda *_, **__: None)  # a killed process cleans up nothing
    try:
        with alone_in(root):
            archive(organization, root)
    except KilledError:
        return False
    return True


def archived_ids(root: Path) -> set[str]:
    """The requests in the archive under its final name."""
    directory = root / "north" / OCTOBER
    if not directory.exists():
        return set()
    files.verified(directory)
    return {line["id"] for line in files.lines_in(directory)}


def money() -> tuple[object, ...]:
    booked = LedgerEntry.objects.order_by("id").values_list("id", "nano", "attempt_id", "request_id")
    sent = Attempt.objects.exclude(dispatched_at=None).order_by("id").values_list("id", "state", "cost_nano")
    return list(booked), list(sent), list(cost.disagreements())


def test_kill_at_any_step_loses_nothing(
    organization: Organization, october: list[AIRequest], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moving, "BATCH", 2)
    everything, before = {str(each.id) for each in october}, money()
    for step in count():
        root = tmp_path / str(step)
        point = transaction.savepoint()
        with monkeypatch.context() as patch:
            has_ended = run_until(step, organization, root, patch)
        left = {str(each) for each in AIRequest.objects.values_list("id", flat=True)}
        assert left | archived_ids(root) == everything, f"killed before step {step}"
        assert left == everything or ArchivedMonth.objects.exists(), (
            f"pages do not mention the archive after step {step}"
        )
        assert money() == before
        with alone_in(root):
            archive(organization, root)
        assert not AIRequest.objects.exists()
        assert archived_ids(root) == everything
        assert ArchivedMonth.objects.get().requests == len(october)
        assert money() == before
        assert not list(root.glob(f"*/*{UNFINISHED}"))
        transaction.savepoint_rollback(point)
        if has_ended:
            assert step > 20, "too few steps were killed"
            return
