"""Processes a request from acceptance to sweep, and kills itself at a named point; see `tests.faults.deaths`.

First prints the request's ID. At each point, a function of the product is replaced by one that kills this process, so
the product needs no test hooks.
"""

import json
import multiprocessing
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from datetime import timedelta
from importlib import import_module
from typing import Any

import django

ORGANIZATION = "north"
MID_CALL_S = 0.5
LOADED = ("aiinfra.gateway.lane.calling", "cost_app.facade", "openai", "queue_app.facade")
"""Modules that the product imports lazily."""

_fork = multiprocessing.get_context("fork")


def run_each(main: Callable[..., None]) -> None:
    """Load the product once, and fork a process for each list of arguments in the command line's JSON.

    Prints each process's exit status and output.
    """
    django.setup()
    for name in LOADED:
        import_module(name)
    ended = []
    for arguments in json.loads(sys.argv[1]):
        with tempfile.TemporaryFile("w+") as output:
            process = _fork.Process(target=_run, args=(main, arguments, output.fileno()))
            process.start()
            process.join()
            output.seek(0)
            ended.append((process.exitcode, output.read().strip()))
    print(json.dumps(ended))


def _run(main: Callable[..., None], arguments: Sequence[str], output: int) -> None:
    os.dup2(output, sys.stdout.fileno())
    main(*arguments)


def die(*_: object, **__: object) -> None:
    """Kill this process, as a power failure would."""
    os.kill(os.getpid(), signal.SIGKILL)


def before(owner: Any, name: str) -> None:
    """Die instead of calling the function."""
    setattr(owner, name, die)


def after(owner: Any, name: str) -> None:
    """Die after the call returned."""
    original: Callable[..., object] = getattr(owner, name)

    def run(*arguments: Any, **named: Any) -> None:
        original(*arguments, **named)
        die()

    setattr(owner, name, run)


def within(owner: Any, name: str) -> None:
    """Die during the call."""
    original: Callable[..., object] = getattr(owner, name)

    def run(*arguments: Any, **named: Any) -> object:
        threading.Timer(MID_CALL_S, die).start()
        return original(*arguments, **named)

    setattr(owner, name, run)


def plant(point: str) -> None:
    """Make the process die at the named point."""
    from cost_app.budgets import holds
    from cost_app.ledger import admission, attempts, rollups, sweeper
    from queue_app.ordering import claims
    from queue_app.processing import outcomes, provider_call
    from queue_app.submission import intake

    plants: dict[str, Callable[[], None]] = {
        "after_reserve": lambda: after(admission, "reserve"),
        "after_commit": lambda: before(intake, "enter"),
        "after_claim": lambda: after(claims, "hold_for_caller"),
        "before_dispatch": lambda: before(attempts, "_move"),
        "after_dispatch": lambda: before(provider_call, "_call"),
        "mid_call": lambda: within(provider_call, "_ask"),
        "mid_settle": lambda: before(holds, "close"),
        "after_settle": lambda: before(outcomes, "_left"),
        "mid_rollup": lambda: after(rollups, "_upsert"),
        "mid_sweep": lambda: before(sweeper, "_correct"),
    }
    plants[point]()


POINTS = [
    "after_reserve",
    "after_commit",
    "after_claim",
    "before_dispatch",
    "after_dispatch",
    "mid_call",
    "mid_settle",
    "after_settle",
    "mid_rollup",
    "mid_sweep",
]


def main(point: str) -> None:
    """Budget, request, claim, call, settlement, fold, and sweep."""
    from aiinfra.tenants.models import Organization
    from aiinfra.tenants.scope import organization_scope, system_scope
    from cost_app.ledger.rollups import fold
    from cost_app.ledger.sweeper import sweep_unknown_outcomes
    from cost_app.models import Attempt, Budget
    from queue_app import create_ai_request_queue

    organization = Organization.objects.get(slug=ORGANIZATION)
    with organization_scope(organization.pk):
        Budget.objects.get_or_create(
            organization=organization, period="monthly", defaults={"limit_nano": 10**12, "enforcement": "block"}
        )
    queue = create_ai_request_queue()
    if point in {"after_reserve", "after_commit"}:
        plant(point)
    messages = [{"role": "user", "content": f"Question at {point}"}]
    request_id = queue.enqueue(
        "deepseek", "deepseek-chat", messages, organization_id=ORGANIZATION, timeout=30_000, max_tokens=50
    )
    print(request_id, flush=True)
    plant(point)
    claimed = queue.dequeue()
    assert claimed is not None
    if point == "mid_sweep":
        from cost_app.ledger.attempts import current_attempt, dispatch

        with organization_scope(organization.pk):
            dispatch(current_attempt(claimed.claim.request.id, 1), timedelta(seconds=1))
            Attempt.objects.filter(request_id=claimed.id).update(deadline_at=claimed.claim.request.created_at)
    else:
        queue.process(claimed)
    fold()
    with system_scope():
        sweep_unknown_outcomes()


if __name__ == "__main__":
    run_each(main)
