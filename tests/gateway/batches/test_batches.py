"""`/v1/batches`: the result of every line, whatever happens to its call."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from aiinfra.batches.models import Batch, BatchLine
from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope, system_scope
from cost_app import create_cost_optimizer
from cost_app.models import Attempt, Budget, LedgerEntry
from queue_app.models import AIRequest, Status
from tests.api.support import BATCHES, FILES, Caller, refused
from tests.gateway.batches.support import PLAIN, create, finish, get, lines, requests_of, results, step, work
from tests.gateway.v1.files import line
from tests.providers.conftest import SandboxClient
from tests.queue_app.conftest import ScriptedProvider, refusal


def spent_nano() -> int:
    with system_scope():
        return sum(LedgerEntry.objects.values_list("nano", flat=True))


def test_every_line_is_answered_in_order(program: Caller, provider: ScriptedProvider) -> None:
    made = create(program, lines(3), metadata={"job": "nightly"})
    assert (made["status"], made["object"], made["metadata"]) == ("validating", "batch", {"job": "nightly"})
    assert made["expires_at"] - made["created_at"] == 86_400
    done = finish(program, made["id"])
    assert (done["status"], done["request_counts"]) == ("completed", {"total": 3, "completed": 3, "failed": 0})
    assert done["in_progress_at"] and done["finalizing_at"] and done["completed_at"]
    assert (done["error_file_id"], done["usage"]["total_tokens"]) == (None, 90)
    found = results(program, done["output_file_id"])
    assert [each["custom_id"] for each in found] == ["c0", "c1", "c2"]
    for each in found:
        assert (each["error"], each["response"]["status_code"]) == (None, 200)
        assert each["response"]["body"]["choices"][0]["message"]["content"] == "Hello."
    file = json.loads(program.get(f"{FILES}/{done['output_file_id']}").content)
    assert (file["purpose"], file["filename"]) == ("batch_output", f"{done['id']}_output.jsonl")
    with system_scope():
        assert not BatchLine.objects.exists()
        assert Batch.objects.get().cost_nano == spent_nano() > 0


def test_lines_are_low_priority_requests_with_the_batchs_headers(
    program: Caller, organization: Organization, provider: ScriptedProvider
) -> None:
    tags = "a, Zürich".encode().decode("latin-1")  # as servers pass on a header that was sent in UTF-8
    headers = {"x-aiinfra-tags": tags, "x-aiinfra-timeout": "20", "x-aiinfra-priority": "critical"}
    create(program, lines(2), **headers)
    step()
    step()
    requests = requests_of(organization)
    assert len(requests) == 2
    for request in requests:
        assert (request.priority, request.tags, request.timeout_ms) == (10, ["a", "Zürich"], 20_000)
        assert request.api_key_id is not None


def test_responses_have_the_format_of_their_endpoint(program: Caller, provider: ScriptedProvider) -> None:
    body = {"model": "gpt-4", "input": "What is a queue?", "instructions": "Be brief."}
    done = finish(program, create(program, [line(url="/v1/responses", body=body)], "/v1/responses")["id"])
    [found] = results(program, done["output_file_id"])
    answer = found["response"]["body"]
    assert (answer["object"], answer["instructions"]) == ("response", "Be brief.")
    assert answer["output"][0]["content"][0]["text"] == "Hello."


def embedding(custom_id: str, text: str) -> dict[str, Any]:
    return line(custom_id, url="/v1/embeddings", body={"model": "text-embedding-3-small", "input": text})


@pytest.mark.django_db(transaction=True)
def test_embeddings_are_sent_one_by_one_and_booked(
    program: Caller, organization: Organization, sandbox: SandboxClient
) -> None:
    calls = [embedding("a", "one"), embedding("b", "two"), embedding("c", "")]
    done = finish(program, create(program, calls, "/v1/embeddings")["id"])
    assert done["request_counts"] == {"total": 3, "completed": 2, "failed": 1}
    found = results(program, done["output_file_id"])
    assert [len(each["response"]["body"]["data"][0]["embedding"]) for each in found] == [1536, 1536]
    [error] = results(program, done["error_file_id"])
    assert (error["custom_id"], error["response"]["body"]["error"]["param"]) == ("c", "input")
    assert requests_of(organization) == []
    with system_scope():
        assert Batch.objects.get().cost_nano == spent_nano() > 0
        assert LedgerEntry.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_embedding_is_sent_again_when_the_process_is_killed_during_its_call(
    program: Caller, sandbox: SandboxClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = create(program, [embedding("a", "one")], "/v1/embeddings")
    with monkeypatch.context() as patched:
        patched.setattr(type(create_cost_optimizer()), "settle", staticmethod(kill))
        with pytest.raises(KeyboardInterrupt):
            step()
    done = finish(program, made["id"])
    assert done["request_counts"] == {"total": 1, "completed": 1, "failed": 0}
    with system_scope():
        states = Attempt.objects.order_by("number").values_list("state", flat=True)
        assert list(states) == ["dispatched", "settled"]


def kill(*_: object) -> None:
    """As if the process were killed here."""
    raise KeyboardInterrupt


def test_invalid_line_gets_the_error_of_its_endpoint(program: Caller, provider: ScriptedProvider) -> None:
    calls = [
        line("fine"),
        line("unknown", body={"model": "no-such-model", "messages": [{"role": "user", "content": "x"}]}),
        line("empty", body={"model": "deepseek-chat", "messages": []}),
        line("several", body={"model": "deepseek-chat", "messages": [{"role": "user", "content": "x"}], "n": 2}),
        line("foreign", body={**PLAIN, "organizationId": "south"}),
        line("named", body={**PLAIN, "organizationId": "north"}),
        line("action", body={**PLAIN, "action": "cleanup"}),
    ]
    done = finish(program, create(program, calls)["id"])
    assert (done["status"], done["request_counts"]) == ("completed", {"total": 7, "completed": 2, "failed": 5})
    assert not any("organizationId" in call.parameters for _, call in provider.calls)
    errors = {each["custom_id"]: each["response"] for each in results(program, done["error_file_id"])}
    assert {name: error["status_code"] for name, error in errors.items()} == {
        "unknown": 404,
        "empty": 400,
        "several": 400,
        "foreign": 404,
        "action": 400,
    }
    assert errors["unknown"]["body"]["error"]["code"] == "model_not_found"
    assert errors["several"]["body"]["error"]["param"] == "n"


def test_permanently_failed_call_is_written_to_the_error_file(
    program: Caller, provider: ScriptedProvider, organization: Organization
) -> None:
    provider.script = [refusal("INVALID_REQUEST")]
    done = finish(program, create(program, lines(1))["id"])
    [error] = results(program, done["error_file_id"])
    [request] = requests_of(organization)
    assert (error["response"]["status_code"], error["response"]["request_id"]) == (400, str(request.id))
    assert done["request_counts"]["failed"] == 1


def test_exhausted_budget_fails_lines_and_the_batch_completes(
    program: Caller, organization: Organization, provider: ScriptedProvider
) -> None:
    with organization_scope(organization.pk):
        Budget.objects.create(organization=organization, period="monthly", limit_nano=1, enforcement="block")
    done = finish(program, create(program, lines(3))["id"])
    assert (done["status"], done["request_counts"]) == ("completed", {"total": 3, "completed": 0, "failed": 3})
    found = results(program, done["error_file_id"])
    assert {each["response"]["body"]["error"]["code"] for each in found} == {"budget_exceeded"}
    assert provider.calls == []


def test_lines_wait_while_the_queue_is_full(
    program: Caller, organization: Organization, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    from queue_app.submission import intake

    monkeypatch.setattr(intake.index, "room_of", lambda _organization: ({10: 2}, 2))
    made = create(program, lines(3))
    step()
    step()
    assert requests_of(organization) == []
    assert get(program, made["id"])["request_counts"] == {"total": 3, "completed": 0, "failed": 0}
    monkeypatch.undo()
    monkeypatch.setattr("queue_app.processing.provider_call.close_old_connections", lambda: None)
    monkeypatch.setattr("queue_app.processing.provider_call.adapter_for", lambda _name: provider)
    assert finish(program, made["id"])["request_counts"]["completed"] == 3


def test_lines_are_queued_in_portions(
    program: Caller, organization: Organization, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aiinfra.gateway.batches.steps.SENT_AT_ONCE", 2)
    monkeypatch.setattr("aiinfra.gateway.batches.steps.IN_QUEUE_MAX", 5)
    made = create(program, lines(12))
    for _ in range(5):
        step()
        assert len(requests_of(organization)) <= 5
    assert len(requests_of(organization)) == 5
    assert finish(program, made["id"])["request_counts"]["completed"] == 12
    assert len(requests_of(organization)) == len(provider.calls) == 12


def test_line_for_another_endpoint_fails_the_batch(program: Caller) -> None:
    made = create(program, [line("a"), line("b", url="/v1/responses"), line("c", url="/v1/x")])
    step()
    failed = get(program, made["id"])
    assert (failed["status"], bool(failed["failed_at"])) == ("failed", True)
    assert [(each["line"], each["param"]) for each in failed["errors"]["data"]] == [(2, "url"), (3, "url")]
    assert failed["request_counts"]["total"] == 0
    with system_scope():
        assert not BatchLine.objects.exists()


def test_cancelling_stops_waiting_lines_immediately_and_drains_running_ones(
    program: Caller, organization: Organization, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aiinfra.gateway.batches.steps.SENT_AT_ONCE", 2)
    monkeypatch.setattr("aiinfra.gateway.batches.steps.IN_QUEUE_MAX", 2)
    made = create(program, lines(5))
    step()
    step()
    first = requests_of(organization)[0]
    with organization_scope(organization.pk):
        AIRequest.objects.filter(id=first.id).update(status=Status.PROCESSING, worker="w", lease_until=timezone.now())
    cancelling = json.loads(program.post(f"{BATCHES}/{made['id']}/cancel", b"").content)
    assert (cancelling["status"], bool(cancelling["cancelling_at"])) == ("cancelling", True)
    step()
    assert get(program, made["id"])["status"] == "cancelling"
    assert [each.status for each in requests_of(organization)] == ["processing", "cancelled"]
    with organization_scope(organization.pk):
        AIRequest.objects.filter(id=first.id).update(status=Status.PENDING, worker="", lease_until=None)
    work()
    done = finish(program, made["id"])
    assert (done["status"], done["request_counts"]) == ("cancelled", {"total": 5, "completed": 1, "failed": 4})
    assert [each["custom_id"] for each in results(program, done["output_file_id"])] == ["c0"]
    codes = {each["error"]["code"] for each in results(program, done["error_file_id"])}
    assert (codes, len(provider.calls)) == ({"batch_cancelled"}, 1)
    assert "cancelled" in refused(program.post(f"{BATCHES}/{made['id']}/cancel", {}), 400)["message"]


def test_batch_expires_with_the_results_it_has(program: Caller, provider: ScriptedProvider) -> None:
    made = create(program, lines(3), completion_window="1h")
    step()
    with system_scope():
        Batch.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    done = finish(program, made["id"])
    assert (done["status"], done["request_counts"]["failed"]) == ("expired", 3)
    assert {each["error"]["code"] for each in results(program, done["error_file_id"])} == {"batch_expired"}


def test_batch_can_wait_for_off_peak_hours(
    program: Caller, organization: Organization, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = timezone.now() + timedelta(hours=3)
    monkeypatch.setattr(type(create_cost_optimizer()), "off_peak_begin", staticmethod(lambda *_: begin))
    made = create(program, lines(2), **{"x-aiinfra-run-when": "cheap"})
    step()
    step()
    assert requests_of(organization) == []
    with system_scope():
        assert Batch.objects.get().next_step_at == begin
    monkeypatch.setattr(type(create_cost_optimizer()), "off_peak_begin", staticmethod(lambda *_: None))
    assert finish(program, made["id"])["request_counts"]["completed"] == 2
    immediate = create(program, lines(1), metadata={"x-aiinfra-run-when": "now"})
    assert finish(program, immediate["id"])["status"] == "completed"
