"""Runs batches step by step in the test's process, without a scheduler and workers."""

import json
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.utils import timezone

from aiinfra.batches.models import Batch, BatchLine, LineState, StoredFile
from aiinfra.gateway.batches import running
from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope, system_scope
from queue_app.models import AIRequest
from queue_app.ordering.claims import claim_next
from queue_app.processing.provider_call import process
from tests.api.support import BATCHES, FILES, Caller
from tests.gateway.v1.files import jsonl, line, uploaded

URL = "/v1/chat/completions"
PLAIN = {"model": "deepseek-chat", "messages": [{"role": "user", "content": "x"}]}
ROUNDS_MAX = 200


def lines(number: int) -> list[dict[str, Any]]:
    """Calls with different prompts."""
    return [line(f"c{each}", f"What is {each}?") for each in range(number)]


def create(caller: Caller, calls: Iterable[dict[str, Any]], url: str = URL, **more: Any) -> dict[str, Any]:
    """Create a batch of these calls. Arguments with a dash in their name are headers."""
    headers = {name: more.pop(name) for name in list(more) if "-" in name}
    body = {"input_file_id": uploaded(caller, jsonl(*calls))["id"], "endpoint": url, "completion_window": "24h", **more}
    response = caller.post(BATCHES, body, **headers)
    assert response.status_code == 200, response.content
    found: dict[str, Any] = json.loads(response.content)
    return found


def get(caller: Caller, batch_id: str) -> dict[str, Any]:
    """The batch's current state."""
    found: dict[str, Any] = json.loads(caller.get(f"{BATCHES}/{batch_id}").content)
    return found


def step() -> None:
    """Run the scheduler's next step, as if it were due."""
    with system_scope():
        Batch.objects.filter(finished_at=None).update(next_step_at=timezone.now() - timedelta(seconds=1))
    running.run_due()
    running.run_due_embeddings()


def work() -> int:
    """Process the queue until it is empty. Returns the number of calls."""
    count = 0
    while (claim := claim_next("worker")) is not None:
        process(claim)
        count += 1
    return count


def finish(caller: Caller, batch_id: str) -> dict[str, Any]:
    """Step and work until the batch is finished."""
    for _ in range(ROUNDS_MAX):
        step()
        work()
        if get(caller, batch_id)["status"] in {"completed", "failed", "expired", "cancelled"}:
            return get(caller, batch_id)
    raise AssertionError("the batch did not end")


def results(caller: Caller, file_id: str | None) -> list[dict[str, Any]]:
    """The lines of a result file, or an empty list if there is no file."""
    if file_id is None:
        return []
    text = caller.get(f"{FILES}/{file_id}/content").getvalue().decode()
    return [json.loads(each) for each in text.splitlines()]


def requests_of(organization: Organization) -> list[AIRequest]:
    """The requests of the batch's lines, in order."""
    with organization_scope(organization.pk):
        return list(AIRequest.objects.order_by("created_at"))


def counts_of_lines(batch_id: str) -> dict[str, int]:
    """The expected `request_counts`, computed from the remaining lines and the result files."""
    with system_scope():
        batch = Batch.objects.get(id=batch_id.removeprefix(Batch.PREFIX))
        states = list(BatchLine.objects.filter(batch=batch).values_list("state", flat=True))
        written = [
            next(iter(StoredFile.objects.filter(id=each).values_list("lines", flat=True)), 0) if each else 0
            for each in (batch.output_id, batch.error_id)
        ]
    return {
        "total": len(states) + sum(written),
        "completed": states.count(LineState.COMPLETED) + written[0],
        "failed": states.count(LineState.FAILED) + written[1],
    }
