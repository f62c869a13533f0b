"""The sandbox provider, as its clients see it."""

import math
import subprocess
import sys
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anthropic
import httpx2
import openai
import pytest

from tests.providers.conftest import SandboxClient
from tests.providers.sandbox_calls import CHAT, MESSAGES, question
from tests.support.processes import free_port, start, wait_until

LONG = "A sentence about vegetables and the weather. " * 200


def openai_client(sandbox: SandboxClient) -> openai.OpenAI:
    return openai.OpenAI(api_key="k", base_url=f"{sandbox.url}/openai/v1", max_retries=0)


def test_answers_are_deterministic_and_name_the_sandbox(sandbox: SandboxClient) -> None:
    first, second = (sandbox.post(CHAT, question()) for _ in range(2))
    assert first.json()["choices"] == second.json()["choices"]
    assert "sandbox" in first.json()["choices"][0]["message"]["content"]
    assert first.headers["x-sandbox"] == "true"
    assert sandbox.post(CHAT, question("Something else")).json()["choices"] != first.json()["choices"]


@pytest.mark.parametrize("limit", ["max_tokens", "max_completion_tokens"])
def test_both_names_of_the_token_limit_are_accepted(sandbox: SandboxClient, limit: str) -> None:
    body = {"model": "deepseek-reasoner", "messages": [{"role": "user", "content": "hi"}], limit: 50}
    answer = sandbox.post(CHAT, body).json()
    assert answer["usage"]["completion_tokens"] <= 50
    assert answer["usage"]["completion_tokens_details"]["reasoning_tokens"] == 48
    assert answer["choices"][0]["finish_reason"] == "length"


def test_stream_ends_with_the_billed_usage(sandbox: SandboxClient) -> None:
    attempt_id = uuid.uuid4()
    stream = openai_client(sandbox).chat.completions.create(
        **question(stream=True, stream_options={"include_usage": True}),
        extra_headers={"X-Attempt-Id": str(attempt_id)},
    )
    chunks = list(stream)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == sandbox.post(CHAT, question()).json()["choices"][0]["message"]["content"]
    (row,) = sandbox.bills(attempt_id)
    assert chunks[-1].usage.completion_tokens == row["usage"]["output"]
    assert chunks[-1].usage.prompt_tokens == row["usage"]["input"]


def test_stream_without_the_option_has_no_usage(sandbox: SandboxClient) -> None:
    chunks = list(openai_client(sandbox).chat.completions.create(**question(stream=True)))
    assert not any(chunk.usage for chunk in chunks)


def test_anthropic_client_can_read_the_stream(sandbox: SandboxClient) -> None:
    client = anthropic.Anthropic(api_key="k", base_url=f"{sandbox.url}/anthropic", max_retries=0)
    with client.messages.stream(**question()) as stream:
        message = stream.get_final_message()
    whole = sandbox.post(MESSAGES, question()).json()
    assert message.content[0].text == whole["content"][0]["text"]
    assert message.stop_reason == "end_turn"
    assert message.usage.output_tokens == whole["usage"]["output_tokens"]
    assert message.usage.input_tokens == whole["usage"]["input_tokens"]


def test_embeddings_are_unit_vectors_and_similar_for_common_words(sandbox: SandboxClient) -> None:
    texts = ["plan a garden", "plan a garden", "plan a large garden", "compile the kernel"]
    answer = openai_client(sandbox).embeddings.create(model="e", input=texts, dimensions=256)
    vectors = [row.embedding for row in answer.data]
    assert [math.hypot(*vector) for vector in vectors] == pytest.approx([1.0] * 4, abs=1e-5)
    assert vectors[0] == vectors[1]
    assert dot(vectors[0], vectors[2]) > 0.5 > dot(vectors[0], vectors[3])
    assert answer.usage.prompt_tokens == sandbox.get("/sandbox/book")[-1]["usage"]["input"]


def dot(first: list[float], second: list[float]) -> float:
    return sum(a * b for a, b in zip(first, second, strict=True))


def test_repeated_long_prefix_counts_as_cached(sandbox: SandboxClient) -> None:
    text = f"{uuid.uuid4()} {LONG}"
    first = sandbox.post(CHAT, question(text)).json()["usage"]
    second = sandbox.post(CHAT, question(f"{text} And now?")).json()["usage"]
    assert first["prompt_tokens_details"]["cached_tokens"] == 0
    assert second["prompt_tokens_details"]["cached_tokens"] == second["prompt_tokens"] * 8192 // len(f"{text} And now?")
    assert sandbox.get("/sandbox/book")[-1]["usage"]["cacheRead"] == second["prompt_tokens_details"]["cached_tokens"]
    other_model = sandbox.post(CHAT, question(text, model="gpt-4o")).json()["usage"]
    assert other_model["prompt_tokens_details"]["cached_tokens"] == 0


def test_deepseek_reports_cache_hits_and_misses(sandbox: SandboxClient) -> None:
    text = f"{uuid.uuid4()} {LONG}"
    sandbox.post("/deepseek/v1/chat/completions", question(text))
    usage = sandbox.post("/deepseek/v1/chat/completions", question(text)).json()["usage"]
    assert usage["prompt_cache_hit_tokens"] > 0
    assert usage["prompt_cache_hit_tokens"] + usage["prompt_cache_miss_tokens"] == usage["prompt_tokens"]


def test_anthropic_caches_only_marked_content_and_bills_the_write(sandbox: SandboxClient) -> None:
    text = f"{uuid.uuid4()} {LONG}"
    unmarked = sandbox.post(MESSAGES, question(text)).json()["usage"]
    assert unmarked["cache_creation_input_tokens"] == unmarked["cache_read_input_tokens"] == 0
    marked = question(text)
    marked["messages"][0]["content"] = [{"type": "text", "text": text, "cache_control": {"type": "ephemeral"}}]
    written = sandbox.post(MESSAGES, marked).json()["usage"]
    read = sandbox.post(MESSAGES, marked).json()["usage"]
    assert written["cache_creation_input_tokens"] == read["cache_read_input_tokens"] > 0
    assert written["cache_read_input_tokens"] == read["cache_creation_input_tokens"] == 0


@pytest.mark.parametrize(
    "behaviour",
    [
        {"latencyMs": -1},
        {"latencyMs": "fast"},
        {"latencyMs": {"p50": 3, "p95": 2, "p99": 1}},
        {"latencyMs": {"p50": 3}},
        {"nonsense": 1},
        {"faults": [{"kind": "explode"}]},
        {"faults": [{"kind": "hang", "probability": 1.1}]},
        {"faults": [{"kind": "hang", "times": -1}]},
        {"faults": [{"kind": "status", "status": 200}]},
        {"faults": [{"kind": "hang", "contains": ""}]},
        {"faults": {}},
        [],
        None,
    ],
)
def test_invalid_behavior_is_refused_and_changes_nothing(sandbox: SandboxClient, behaviour: Any) -> None:
    sandbox.behave(latencyMs=1).raise_for_status()
    answer = sandbox.post("/sandbox/behaviour", behaviour)
    assert answer.status_code == 400
    assert answer.json()["error"]["message"]
    assert sandbox.get("/sandbox/behaviour")["latencyMs"] == 1


def test_fault_applies_only_to_matching_calls_and_its_number_of_times(sandbox: SandboxClient) -> None:
    fault = {"kind": "status", "status": 503, "provider": "openai", "model": "gpt-4", "contains": "garden", "times": 2}
    sandbox.behave(faults=[fault]).raise_for_status()
    assert sandbox.post(CHAT, question("kernel")).status_code == 200
    assert sandbox.post(CHAT, question(model="gpt-4o")).status_code == 200
    assert sandbox.post("/deepseek/v1/chat/completions", question()).status_code == 200
    assert [sandbox.post(CHAT, question()).status_code for _ in range(3)] == [503, 503, 200]


def test_seed_makes_faults_repeatable(sandbox: SandboxClient) -> None:
    runs = []
    for _ in range(2):
        sandbox.behave(seed=7, faults=[{"kind": "status", "probability": 0.5}])
        runs.append([sandbox.post(CHAT, question()).status_code for _ in range(12)])
    assert runs[0] == runs[1]
    assert set(runs[0]) == {200, 500}


@pytest.mark.parametrize(
    ("path", "body"), [(CHAT, question("Hold me")), ("/openai/v1/embeddings", {"model": "held", "input": "x"})]
)
def test_held_call_is_answered_and_billed_when_the_behavior_is_replaced(
    sandbox: SandboxClient, path: str, body: dict[str, Any]
) -> None:
    faults = [{"kind": "hold", "contains": "Hold me"}, {"kind": "hold", "model": "held"}]
    sandbox.behave(faults=faults).raise_for_status()
    held_id, other_id = uuid.uuid4(), uuid.uuid4()
    with ThreadPoolExecutor(1) as client:
        held = client.submit(sandbox.post, path, body, **{"x-attempt-id": str(held_id)})
        wait_until(lambda: sandbox.get(f"/sandbox/calls/{held_id}")["state"] == "running", "the held call")
        assert sandbox.post(CHAT, question(), **{"x-attempt-id": str(other_id)}).status_code == 200
        assert (len(sandbox.bills(held_id)), len(sandbox.bills(other_id))) == (0, 1)
        assert not held.done()
        sandbox.behave().raise_for_status()
        assert held.result().status_code == 200
    assert len(sandbox.bills(held_id)) == 1


def test_held_call_is_billed_after_its_client_disconnected(sandbox: SandboxClient) -> None:
    sandbox.behave(faults=[{"kind": "hold"}]).raise_for_status()
    attempt_id = uuid.uuid4()
    headers = {"authorization": "Bearer k", "x-attempt-id": str(attempt_id)}
    with pytest.raises(httpx2.ReadTimeout):
        httpx2.post(f"{sandbox.url}{CHAT}", json=question(), headers=headers, timeout=1, trust_env=False)
    wait_until(lambda: sandbox.get(f"/sandbox/calls/{attempt_id}")["state"] == "running", "the held call")
    sandbox.behave().raise_for_status()
    wait_until(lambda: sandbox.bills(attempt_id), "the bill")


def test_one_of_several_held_calls_is_released(sandbox: SandboxClient) -> None:
    sandbox.behave(faults=[{"kind": "hold"}]).raise_for_status()
    released_id, held_id = str(uuid.uuid4()), str(uuid.uuid4())
    with ThreadPoolExecutor(2) as clients:
        released, held = (
            clients.submit(sandbox.post, CHAT, question(), **{"x-attempt-id": each}) for each in (released_id, held_id)
        )
        for each in (released_id, held_id):
            wait_until(lambda: sandbox.get(f"/sandbox/calls/{each}")["state"] == "running", "both calls")  # noqa: B023
        assert sandbox.post(f"/sandbox/calls/{released_id}/release", {}).status_code == 200
        assert released.result().status_code == 200
        assert sandbox.get(f"/sandbox/calls/{held_id}")["state"] == "running"
        assert sandbox.post(f"/sandbox/calls/{released_id}/release", {}).status_code == 404
        sandbox.behave().raise_for_status()
        assert held.result().status_code == 200


def test_rate_limit_has_a_retry_after_header(sandbox: SandboxClient) -> None:
    sandbox.behave(faults=[{"kind": "rate_limit", "retryAfterS": 3}])
    answer = sandbox.post(CHAT, question())
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "3")


@pytest.mark.parametrize(("kind", "rows"), [("reset_before_billing", 0), ("reset_after_billing", 1)])
def test_reset_closes_the_connection_without_an_answer(sandbox: SandboxClient, kind: str, rows: int) -> None:
    sandbox.behave(faults=[{"kind": kind}])
    attempt_id = uuid.uuid4()
    with pytest.raises(httpx2.NetworkError):
        sandbox.post(CHAT, question(), **{"x-attempt-id": str(attempt_id)})
    assert len(sandbox.bills(attempt_id)) == rows


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (CHAT, []),
        (CHAT, {"messages": [{"role": "user", "content": "x"}]}),
        (CHAT, question(model=3)),
        (CHAT, question(messages=[])),
        (CHAT, question(messages="hi")),
        (CHAT, question(max_tokens=0)),
        (CHAT, question(max_tokens=1.5)),
        (MESSAGES, {"model": "claude", "messages": [{"role": "user", "content": "x"}]}),
        ("/openai/v1/embeddings", {"model": "e", "input": 3}),
        ("/openai/v1/embeddings", {"model": "e", "input": []}),
        ("/openai/v1/embeddings", {"model": "e", "input": "x", "dimensions": 100_000}),
    ],
)
def test_invalid_request_is_refused_and_not_billed(sandbox: SandboxClient, path: str, body: Any) -> None:
    billed = len(sandbox.get("/sandbox/book"))
    assert sandbox.post(path, body).status_code == 400
    assert len(sandbox.get("/sandbox/book")) == billed


def test_call_without_a_key_is_refused(sandbox: SandboxClient) -> None:
    assert httpx2.post(f"{sandbox.url}{CHAT}", json=question(), timeout=60, trust_env=False).status_code == 401


def test_sandbox_starts_with_uvicorn_and_latency_from_the_environment() -> None:
    port = free_port()
    client = SandboxClient(f"http://127.0.0.1:{port}")
    command = [sys.executable, "-m", "uvicorn", "aiinfra.providers.sandbox.app:app", "--port", str(port)]
    with start(command, {"SANDBOX_LATENCY_MS": "12.5", "SANDBOX_BOOK": ""}, f"{client.url}/"):
        assert client.get("/sandbox/behaviour")["latencyMs"] == 12.5


def test_sandbox_does_not_import_django() -> None:
    code = "import sys, aiinfra.providers.sandbox.app; print('django' in sys.modules)"
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert finished.stdout.strip() == "False"
