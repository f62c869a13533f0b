"""One trace covers a call from the client through the endpoint, cache, queue, and worker to the provider."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from aiinfra.gateway.waiting import WaitingRoom
from aiinfra.tenants.scope import system_scope
from cost_app.models import Attempt
from queue_app.models import AIRequest, RequestContent
from queue_app.ordering import index
from queue_app.packing import unpack
from tests.api.support import CHAT, COMPLETIONS, MESSAGES, QUEUE, Caller
from tests.gateway.stepwise import MODEL, Stepwise
from tests.gateway.streamed import events_of
from tests.providers.conftest import SandboxClient
from tests.support.collector import Collector, SentSpan
from tests.tracing.conftest import Sent

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis_url")]

TRACE, CLIENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SAMPLED = {"traceparent": f"00-{TRACE}-{CLIENT}-01"}
UNSAMPLED = {"traceparent": f"00-{TRACE}-{CLIENT}-00"}
CALL = "chat deepseek-chat"
WAITING = "POST /api/ai/chat"


def wait_for_answer(program: Caller, headers: dict[str, str] = SAMPLED, **body: Any) -> Any:
    return program.post(CHAT, {"messages": MESSAGES, "wait": True, **body}, **headers)


def parents(spans: dict[str, SentSpan]) -> dict[str, str]:
    """The name of each span's parent; "client" for the client's own."""
    names = {CLIENT: "client", **{span.span_id: span.name for span in spans.values()}}
    return {span.name: names.get(span.parent_id, span.parent_id) for span in spans.values()}


def only_attempt() -> Attempt:
    with system_scope():
        return Attempt.objects.get()


def stored_call() -> dict[str, Any]:
    with system_scope():
        call: dict[str, Any] = unpack(RequestContent.objects.get().call)
    return call


def test_a_direct_call_is_traced(program: Caller, sandbox: SandboxClient, room: WaitingRoom, sent: Sent) -> None:
    index.mark_complete()
    response = wait_for_answer(program, {**SAMPLED, "X-Request-Id": "my-request-1"})
    assert response.status_code == 200, response.content
    spans = sent(WAITING, "cache lookup", "process request", CALL)
    assert parents(spans) == {
        WAITING: "client",
        "cache lookup": WAITING,
        "process request": WAITING,
        CALL: "process request",
    }
    assert {span.trace_id for span in spans.values()} == {TRACE}
    assert {name: span.kind for name, span in spans.items()} == {
        WAITING: "SERVER",
        "cache lookup": "INTERNAL",
        "process request": "INTERNAL",
        CALL: "CLIENT",
    }
    assert not any(span.is_error for span in spans.values())
    assert spans[WAITING].attributes == {
        "http.request.method": "POST",
        "url.scheme": "http",
        "url.path": CHAT,
        "http.route": CHAT,
        "http.response.status_code": 200,
        "aiinfra.http.request_id": "my-request-1",
    }
    assert spans["cache lookup"].attributes == {"aiinfra.cache.result": "miss"}
    processed = spans["process request"].attributes
    assert processed["aiinfra.request.id"] == json.loads(response.content)["requestId"]
    assert (processed["aiinfra.lane"], processed["aiinfra.priority"]) == ("direct", "normal")
    assert processed["aiinfra.request.status"] == "completed"


def test_a_provider_call_span_follows_the_semantic_conventions(
    program: Caller, sandbox: SandboxClient, room: WaitingRoom, sent: Sent
) -> None:
    index.mark_complete()
    response = wait_for_answer(program, maxTokens=50, temperature=0.5)
    assert response.status_code == 200, response.content
    found, usage = sent(CALL)[CALL].attributes, json.loads(response.content)["usage"]
    assert (
        found.items()
        >= {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "deepseek",
            "gen_ai.request.model": "deepseek-chat",
            "gen_ai.request.max_tokens": 50,
            "gen_ai.request.temperature": 0.5,
            "gen_ai.response.model": "deepseek-chat",
            "gen_ai.usage.input_tokens": usage["promptTokens"],
            "gen_ai.usage.output_tokens": usage["completionTokens"],
            "server.address": "127.0.0.1",
            "server.port": int(sandbox.url.rpartition(":")[2]),
            "aiinfra.attempt.id": str(only_attempt().id),
        }.items()
    )
    assert found["gen_ai.response.finish_reasons"] in (["stop"], ["length"])


@pytest.mark.parametrize("streams", [False, True])
def test_a_queued_call_is_traced(
    program: Caller,
    sandbox: SandboxClient,
    room: WaitingRoom,
    queued: None,
    worker: Callable[[], None],
    sent: Sent,
    streams: bool,
) -> None:
    worker()
    door = f"POST {COMPLETIONS}"
    response = program.post(
        COMPLETIONS, {"model": "deepseek/deepseek-chat", "messages": MESSAGES, "stream": streams}, **SAMPLED
    )
    assert response.status_code == 200
    assert list(events_of(response)) if streams else response.content
    spans = sent(door, "cache lookup", "queue wait", "process request", CALL)
    assert {span.trace_id for span in spans.values()} == {TRACE}
    assert parents(spans) == {
        door: "client",
        "cache lookup": door,
        "queue wait": door,
        "process request": door,
        CALL: "process request",
    }
    process = spans["process request"]
    lane = process.attributes["aiinfra.lane"]
    assert (process.kind, lane) == (("INTERNAL", "direct") if streams else ("CONSUMER", "worker"))
    with system_scope():
        request = AIRequest.objects.get()
    wait = spans["queue wait"]
    assert request.started_at is not None
    assert (wait.ended - wait.began) / 1e9 == pytest.approx((request.started_at - request.created_at).total_seconds())


def test_a_streamed_call_is_traced(
    program: Caller, stepwise: Stepwise, room: WaitingRoom, sent: Sent, settings: Settings
) -> None:
    settings.TRACED_PROVIDERS = frozenset({"local"})
    stepwise.send_text("Plan it.")
    stepwise.finish()
    body = {"model": MODEL, "messages": MESSAGES, "stream": True}
    assert list(events_of(program.post(COMPLETIONS, body, **SAMPLED)))
    door, call = f"POST {COMPLETIONS}", "chat stepwise"
    spans = sent(door, "process request", call)
    assert parents(spans).items() >= {door: "client", "process request": door, call: "process request"}.items()
    assert spans[call].attributes["gen_ai.request.stream"] is True
    assert spans[call].attributes["gen_ai.response.model"] == "their-name"
    assert spans[call].attributes["gen_ai.response.time_to_first_chunk"] >= 0
    assert spans[door].ended >= spans[call].ended
    assert f"traceparent: 00-{TRACE}-{spans[call].span_id}-01".encode() in stepwise.heads[0].lower()


def test_trace_context_is_not_sent_to_providers_by_default(
    program: Caller, stepwise: Stepwise, room: WaitingRoom, sent: Sent
) -> None:
    stepwise.send_text("Plan it.")
    stepwise.finish()
    assert list(events_of(program.post(COMPLETIONS, {"model": MODEL, "messages": MESSAGES, "stream": True}, **SAMPLED)))
    sent("chat stepwise")
    assert b"trace" not in stepwise.heads[0].lower()


def test_an_error_span_has_its_code_but_no_message(
    program: Caller, sandbox: SandboxClient, room: WaitingRoom, sent: Sent, collector: Collector
) -> None:
    index.mark_complete()
    sandbox.behave(faults=[{"kind": "status", "status": 400}]).raise_for_status()
    assert wait_for_answer(program).status_code == 502
    spans = sent(WAITING, CALL)
    assert (spans[CALL].is_error, spans[CALL].attributes["error.type"]) == (True, "INVALID_REQUEST")
    assert spans[CALL].attributes["http.response.status_code"] == 400
    assert (spans[WAITING].is_error, spans[WAITING].attributes["error.type"]) == (True, "502")
    assert spans["process request"].attributes["aiinfra.request.status"] == "failed"
    exported, key = b"".join(collector.bodies), program.headers["Authorization"].removeprefix("Bearer ")
    assert MESSAGES[0]["content"].encode() not in exported
    assert key.encode() not in exported
    assert b"exception" not in exported


def test_an_unsampled_request_is_not_traced(
    program: Caller, sandbox: SandboxClient, queued: None, worker: Callable[[], None], room: WaitingRoom, sent: Sent
) -> None:
    worker()
    assert wait_for_answer(program, UNSAMPLED).status_code == 200
    assert stored_call()["trace"]["traceparent"].startswith(f"00-{TRACE}-")
    assert stored_call()["trace"]["traceparent"].endswith("-00")
    assert program.get(QUEUE, action="stats").status_code == 200  # this request is traced
    assert set(sent(f"GET {QUEUE}")) == {f"GET {QUEUE}"}


@pytest.mark.parametrize("header", [{}, {"traceparent": "nonsense"}, SAMPLED])
def test_a_trace_starts_at_the_endpoint_if_the_client_s_context_is_missing_or_untrusted(
    program: Caller, sent: Sent, settings: Settings, header: dict[str, str]
) -> None:
    settings.ACCEPT_TRACEPARENT = header != SAMPLED
    program.post(CHAT, {"messages": []}, **header)
    (span,) = sent(WAITING).values()
    assert (span.parent_id, span.trace_id != TRACE) == ("", True)
    assert (span.is_error, span.attributes["http.response.status_code"]) == (False, 400)


def test_health_checks_and_metrics_are_not_traced(program: Caller, sent: Sent) -> None:
    for path in ("/healthz", "/readyz", "/metrics"):
        program.get(path)
    program.get("/accounts/nothing/")
    assert [span.attributes["url.path"] for span in sent("GET").values()] == ["/accounts/nothing/"]
