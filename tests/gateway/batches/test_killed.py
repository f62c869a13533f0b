"""Killing the scheduler at any step loses, repeats, or double-bills no line, and the counts stay correct."""

import random
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aiinfra.batches import files, progress
from aiinfra.batches.models import Batch, StoredFile
from aiinfra.gateway import chat
from aiinfra.gateway.batches import steps
from aiinfra.tenants.scope import system_scope
from cost_app.models import LedgerEntry
from queue_app.models import AIRequest
from queue_app.ordering.claims import claim_next
from queue_app.processing.provider_call import process
from tests.api.support import BATCHES, Caller
from tests.gateway.batches.support import counts_of_lines, create, finish, get, lines, results, step, work
from tests.queue_app.conftest import ScriptedProvider, answer, refusal
from tests.support.examples import examples

pytestmark = pytest.mark.django_db(transaction=True)
NUMBER = 6
POINTS: list[tuple[Any, str]] = [
    (files, "chunk_of"),
    (progress, "copy_chunk"),
    (chat, "ask"),
    (progress, "mark_sent"),
    (progress, "settle"),
    (progress, "stop_waiting"),
    (progress, "finalize"),
    (progress, "write_results"),
    (progress, "_finish"),
    (steps, "collect"),
]
"""Functions after which the scheduler is killed, possibly within a transaction."""
ONCE = {"_finish", "finalize", "stop_waiting"}
"""Functions that a batch of this size calls once or twice."""


class KilledError(BaseException):
    """The process was killed: no handler runs, and uncommitted work is rolled back."""


def kill_after(function: Callable[..., Any], calls: int) -> Callable[..., Any]:
    """Wrap the function so that the process is killed when the call after the first `calls` calls returns."""
    left = iter(range(calls))

    def run(*arguments: Any, **named: Any) -> Any:
        result = function(*arguments, **named)
        if next(left, None) is None:
            raise KilledError
        return result

    return run


def step_killed(owner: Any, name: str, calls: int = 0) -> bool:
    """Run a step that is killed after the function. False if the step does not reach it."""
    with patch.object(owner, name, kill_after(getattr(owner, name), calls)):
        try:
            step()
        except KilledError:
            return True
    return False


def assert_each_line_once(program: Caller, batch: dict[str, Any], provider: ScriptedProvider, number: int) -> None:
    """Each line has one result, one request, one call, and one ledger entry."""
    found = results(program, batch["output_file_id"]) + results(program, batch["error_file_id"])
    assert sorted(each["custom_id"] for each in found) == [f"c{each}" for each in range(number)]
    with system_scope():
        assert AIRequest.objects.count() == LedgerEntry.objects.filter(kind="usage").count() == len(provider.calls)
        assert len(provider.calls) == batch["request_counts"]["completed"]
        assert Batch.objects.get().cost_nano == sum(LedgerEntry.objects.values_list("nano", flat=True))
        files_left = {str(each) for each in StoredFile.objects.filter(purpose="batch_output")}
    assert files_left == {each for each in (batch["output_file_id"], batch["error_file_id"]) if each}


@pytest.mark.parametrize(("owner", "name"), POINTS, ids=[name for _, name in POINTS])
def test_kill_at_any_step_loses_and_repeats_nothing(
    program: Caller, provider: ScriptedProvider, owner: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "SENT_AT_ONCE", 2)
    monkeypatch.setattr(steps, "IN_QUEUE_MAX", 3)
    monkeypatch.setattr(progress, "WRITE_BATCH", 2)
    monkeypatch.setattr(progress, "STOP_BATCH", 2)
    monkeypatch.setattr(files, "CHUNK_BYTES", 300)
    made = create(program, lines(NUMBER))
    killed = 0
    for round_number in range(30):
        killed += step_killed(owner, name, 0 if name in ONCE else round_number % 3)
        assert get(program, made["id"])["request_counts"] == counts_of_lines(made["id"])
        work()
        if name == "stop_waiting" and not killed:
            program.post(f"{BATCHES}/{made['id']}/cancel", {})
    assert killed > 0
    done = finish(program, made["id"])
    assert done["request_counts"]["total"] == done["request_counts"]["completed"] + done["request_counts"]["failed"]
    assert_each_line_once(program, done, provider, done["request_counts"]["total"])
    if name != "stop_waiting":
        assert (done["status"], done["request_counts"]["completed"]) == ("completed", NUMBER)


@pytest.fixture
def small_portions(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Small portions, so that every action happens in the middle of a batch."""
    monkeypatch.setattr(steps, "SENT_AT_ONCE", 2)
    monkeypatch.setattr(steps, "IN_QUEUE_MAX", 3)
    monkeypatch.setattr(progress, "WRITE_BATCH", 1)
    monkeypatch.setattr(progress, "STOP_BATCH", 1)
    monkeypatch.setattr(files, "CHUNK_BYTES", 300)
    yield


ACTIONS = st.lists(st.sampled_from(["step", "step", "kill", "work", "work", "cancel", "expire"]), max_size=25)


@given(actions=ACTIONS, number=st.integers(1, 7), seed=st.integers(0, 1_000))
@settings(
    max_examples=examples(12, 120),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@pytest.mark.usefixtures("small_portions")
def test_counts_equal_lines_after_every_action(
    program: Caller, provider: ScriptedProvider, actions: list[str], number: int, seed: int
) -> None:
    rng = random.Random(seed)
    provider.script = [rng.choice([answer(), refusal("INVALID_REQUEST")]) for _ in range(number)] + [answer()]
    made = create(program, lines(number))
    for action in actions:
        act(program, made["id"], action, rng)
        shown = get(program, made["id"])["request_counts"]
        assert shown == counts_of_lines(made["id"])
        assert shown["completed"] + shown["failed"] <= shown["total"] <= number
    done = finish(program, made["id"])
    counts = done["request_counts"]
    assert counts == counts_of_lines(made["id"])
    assert counts["completed"] + counts["failed"] == counts["total"]
    assert len(results(program, done["output_file_id"])) == counts["completed"]
    assert len(results(program, done["error_file_id"])) == counts["failed"]


def act(program: Caller, batch_id: str, action: str, rng: random.Random) -> None:
    """Apply an action to a batch."""
    if action == "step":
        step()
    elif action == "kill":
        step_killed(*rng.choice(POINTS), rng.randrange(3))
    elif action == "work" and (claim := claim_next("worker")):
        process(claim)
    elif action == "cancel":
        program.post(f"{BATCHES}/{batch_id}/cancel", {})
    elif action == "expire":
        with system_scope():
            batches = Batch.objects.filter(finished_at=None)
            batches.update(expires_at=batches.first().created_at) if batches.exists() else None
