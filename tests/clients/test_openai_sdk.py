"""The official `openai` client with only its base URL and key changed."""

import json
from uuid import uuid4

import openai
import pytest
from openai.types import BatchRequestCounts
from openai.types.chat import ChatCompletion

from aiinfra.gateway.batches.running import run_due
from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope, system_scope
from cost_app.models import Budget, LedgerEntry
from queue_app.models import AIRequest, RequestContent
from queue_app.packing import unpack
from tests.support.processes import wait_until

pytestmark = pytest.mark.django_db(transaction=True)
MODEL = "deepseek-chat"
QUESTION = "How do I plan a garden?"
ASKED = [{"role": "user", "content": QUESTION}]
TOOLS = [{"type": "function", "function": {"name": "add", "parameters": {"type": "object", "properties": {}}}}]
CALLED = [
    *ASKED,
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "add", "arguments": "{}"}}],
    },
    {"role": "tool", "tool_call_id": "c1", "content": "7"},
]


def test_chat_is_answered_and_booked(openai_client: openai.OpenAI) -> None:
    raw = openai_client.chat.completions.with_raw_response.create(model=MODEL, messages=ASKED)  # type: ignore[arg-type]
    answer = raw.parse()
    assert answer.choices[0].message.content
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None and answer.usage.total_tokens > 0
    with system_scope():
        entry = LedgerEntry.objects.get()
    assert raw.headers["x-aiinfra-request-id"] == str(entry.request_id)
    assert raw.headers["x-aiinfra-cost"] == f"{entry.nano / 1e9:.9f}".rstrip("0")
    assert (raw.headers["x-aiinfra-cache"], bool(raw.headers["x-request-id"])) == ("miss", True)
    assert (raw.headers["x-aiinfra-attempts"], "x-aiinfra-budget-remaining" in raw.headers) == ("1", False)
    assert int(raw.headers["x-aiinfra-overhead-ms"]) >= 0
    again = openai_client.chat.completions.with_raw_response.create(model=MODEL, messages=ASKED)  # type: ignore[arg-type]
    assert again.headers["x-aiinfra-cache"] == "hit"
    assert again.parse().choices == answer.choices


def test_stream_has_the_same_answer_and_ends_with_its_usage(openai_client: openai.OpenAI) -> None:
    options = {"include_usage": True}
    stream = openai_client.chat.completions.create(
        model=MODEL,
        messages=ASKED,  # type: ignore[arg-type]
        stream=True,
        stream_options=options,  # type: ignore[arg-type]
    )
    *chunks, last = list(stream)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    whole = openai_client.chat.completions.create(model=MODEL, messages=ASKED)  # type: ignore[arg-type]
    assert text == whole.choices[0].message.content
    assert last.choices == [] and last.usage is not None and last.usage.total_tokens > 0


def test_tools_parts_and_all_parameters_are_stored(openai_client: openai.OpenAI) -> None:
    parts = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": "https://e.org/c"}}]
    messages = [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": parts, "name": "ann"}]
    schema = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}}
    openai_client.chat.completions.create(
        model="gpt-4",
        messages=messages,  # type: ignore[arg-type]
        tools=TOOLS,  # type: ignore[arg-type]
        seed=7,
        top_p=0.5,
        response_format=schema,  # type: ignore[arg-type]
        max_completion_tokens=50,
        extra_headers={"x-aiinfra-priority": "high", "x-litellm-tags": "a, b", "x-litellm-timeout": "20"},
    )
    with system_scope():
        [request] = AIRequest.objects.all()
        call = unpack(RequestContent.objects.get().call)
    assert call["messages"] == messages
    assert call["parameters"] == {"tools": TOOLS, "seed": 7, "top_p": 0.5, "response_format": schema}
    assert (request.priority, request.tags, request.timeout_ms, call["max_tokens"]) == (500, ["a", "b"], 20_000, 50)


def test_tool_result_is_answered(openai_client: openai.OpenAI) -> None:
    answer = openai_client.chat.completions.create(model=MODEL, messages=CALLED, tools=TOOLS)  # type: ignore[call-overload]
    assert answer.choices[0].message.content


def test_embeddings_models_and_responses(openai_client: openai.OpenAI) -> None:
    vectors = openai_client.embeddings.create(model="text-embedding-3-small", input=["a", "b"])
    assert [each.index for each in vectors.data] == [0, 1]
    assert len(vectors.data[0].embedding) == 1536
    assert vectors.usage.total_tokens > 0
    with system_scope():
        assert LedgerEntry.objects.get().nano > 0
    models = {model.id: model.owned_by for model in openai_client.models.list()}
    assert models[MODEL] == "deepseek"
    assert models["text-embedding-3-small"] == "openai"
    assert openai_client.models.retrieve(MODEL).id == MODEL
    response = openai_client.responses.create(model=MODEL, input=QUESTION, instructions="Be brief.")
    assert response.output_text and response.usage is not None and response.usage.total_tokens > 0
    with openai_client.responses.stream(
        model=MODEL, input="How do I plan a garden?", instructions="Be brief."
    ) as stream:
        assert stream.get_final_response().output_text == response.output_text


def test_errors_raise_the_sdks_exceptions(product: str, openai_client: openai.OpenAI) -> None:
    with (
        openai.OpenAI(base_url=f"{product}/v1", api_key="nope", max_retries=0) as stranger,
        pytest.raises(openai.AuthenticationError),
    ):
        stranger.models.list()
    with pytest.raises(openai.NotFoundError) as unknown:
        openai_client.chat.completions.create(model="no-such-model", messages=ASKED)  # type: ignore[arg-type]
    assert (unknown.value.code, unknown.value.param) == ("model_not_found", "model")
    with pytest.raises(openai.BadRequestError) as many:
        openai_client.chat.completions.create(model=MODEL, messages=ASKED, n=2)  # type: ignore[arg-type]
    assert (many.value.param, many.value.type) == ("n", "invalid_request_error")


def test_exhausted_budget_and_reused_key_are_not_retried(
    openai_client: openai.OpenAI, organization: Organization
) -> None:
    retrying = openai_client.with_options(max_retries=2)
    headers = {"Idempotency-Key": str(uuid4())}
    first = retrying.chat.completions.create(model=MODEL, messages=ASKED, extra_headers=headers)  # type: ignore[arg-type]
    again = retrying.chat.completions.create(model=MODEL, messages=ASKED, extra_headers=headers)  # type: ignore[arg-type]
    assert again == first
    with pytest.raises(openai.ConflictError) as conflict:
        retrying.chat.completions.create(model=MODEL, messages=CALLED, extra_headers=headers)  # type: ignore[arg-type]
    assert conflict.value.response.headers["x-should-retry"] == "false"
    with organization_scope(organization.pk):
        Budget.objects.create(organization=organization, period="monthly", limit_nano=1, enforcement="block")
    with pytest.raises(openai.APIStatusError) as spent:
        retrying.chat.completions.create(model=MODEL, messages=CALLED)  # type: ignore[arg-type]
    assert (spent.value.status_code, spent.value.code) == (402, "budget_exceeded")
    assert spent.value.response.headers["x-should-retry"] == "false"
    with system_scope():
        assert AIRequest.objects.count() == 1


def test_answer_reports_the_remaining_budget(openai_client: openai.OpenAI, organization: Organization) -> None:
    with organization_scope(organization.pk):
        Budget.objects.create(organization=organization, period="monthly", limit_nano=10**9, enforcement="block")
    raw = openai_client.chat.completions.with_raw_response.create(model=MODEL, messages=ASKED)  # type: ignore[arg-type]
    with system_scope():
        left = 10**9 - LedgerEntry.objects.get().nano
    assert round(float(raw.headers["x-aiinfra-budget-remaining"]) * 1e9) == left


def test_files_are_uploaded_listed_read_and_deleted(openai_client: openai.OpenAI) -> None:
    content = b"".join(
        json.dumps({"custom_id": f"c{number}", "method": "POST", "url": "/v1/chat/completions", "body": {}}).encode()
        + b"\n"
        for number in range(3)
    )
    expiry = {"anchor": "created_at", "seconds": 7200}
    file = openai_client.files.create(file=("calls.jsonl", content), purpose="batch", expires_after=expiry)  # type: ignore[arg-type]
    assert (file.bytes, file.filename, file.purpose) == (len(content), "calls.jsonl", "batch")
    assert file.expires_at == file.created_at + 7200
    second = openai_client.files.create(file=content, purpose="batch")
    assert [each.id for each in openai_client.files.list(limit=1)] == [second.id, file.id]
    assert openai_client.files.retrieve(file.id) == file
    assert openai_client.files.content(file.id).read() == content
    assert openai_client.files.wait_for_processing(file.id) == file
    assert openai_client.files.delete(file.id).deleted
    with pytest.raises(openai.NotFoundError):
        openai_client.files.retrieve(file.id)
    with pytest.raises(openai.BadRequestError, match="Line 1") as wrong:
        openai_client.files.create(file=b"nope", purpose="batch")
    assert (wrong.value.code, wrong.value.param) == ("invalid_file", "file")


def test_batch_is_processed_from_upload_to_results(openai_client: openai.OpenAI) -> None:
    calls = [
        {
            "custom_id": name,
            "method": "POST",
            "url": "/v1/chat/completions",
            "body": {"model": model, "messages": ASKED},
        }
        for name, model in (("fine", MODEL), ("unknown", "no-such-model"))
    ]
    content = b"".join(json.dumps(each).encode() + b"\n" for each in calls)
    file = openai_client.files.create(file=("calls.jsonl", content), purpose="batch")
    terms = {"input_file_id": file.id, "endpoint": "/v1/chat/completions", "completion_window": "24h"}
    quote = openai_client.batches.with_raw_response.create(**terms, extra_headers={"x-aiinfra-dry-run": "true"})  # type: ignore[arg-type]
    assert quote.http_response.json()["requests"] == 2
    batch = openai_client.batches.create(**terms, metadata={"job": "nightly"})  # type: ignore[arg-type]
    assert (batch.status, batch.metadata) == ("validating", {"job": "nightly"})

    def has_ended() -> bool:
        run_due()
        return openai_client.batches.retrieve(batch.id).completed_at is not None

    wait_until(has_ended, "the batch to end")
    done = openai_client.batches.retrieve(batch.id)
    assert (done.status, done.request_counts) == ("completed", BatchRequestCounts(completed=1, failed=1, total=2))
    assert done.output_file_id and done.error_file_id and done.usage and done.usage.total_tokens > 0
    [answer] = map(json.loads, openai_client.files.content(done.output_file_id).iter_lines())
    whole = openai_client.chat.completions.create(model=MODEL, messages=ASKED)  # type: ignore[arg-type]
    assert answer["custom_id"] == "fine"
    assert ChatCompletion.model_validate(answer["response"]["body"]).choices == whole.choices
    [error] = map(json.loads, openai_client.files.content(done.error_file_id).iter_lines())
    assert error["response"]["body"]["error"]["code"] == "model_not_found"
    with system_scope():
        assert LedgerEntry.objects.filter(kind="usage").count() == 1


def test_batches_are_listed_and_cancelled(openai_client: openai.OpenAI) -> None:
    call = {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": {}}
    file = openai_client.files.create(file=json.dumps(call).encode(), purpose="batch")
    made = [
        openai_client.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")
        for _ in range(3)
    ]
    assert [each.id for each in openai_client.batches.list(limit=2)] == [each.id for each in made[::-1]]
    assert openai_client.batches.cancel(made[0].id).status == "cancelling"
    run_due()
    run_due()
    assert openai_client.batches.retrieve(made[0].id).status == "cancelled"
    with pytest.raises(openai.BadRequestError):
        openai_client.batches.cancel(made[0].id)
