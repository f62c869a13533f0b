"""`POST /v1/embeddings`: held, priced and booked like every other call, and sent directly."""

import struct
from base64 import b64encode
from typing import Annotated, Any, Literal
from uuid import UUID

from django.http import HttpResponse
from pydantic import BaseModel, Field, StringConstraints

from aiinfra.api import WHOLE_FLOATS, ApiCall, Operation
from aiinfra.failures import ApiError
from aiinfra.gateway.v1.call_headers import asked_in_headers, client_errors, options_from
from aiinfra.gateway.v1.dry_run import quoted
from aiinfra.gateway.v1.model_names import resolve_embedding
from aiinfra.gateway.v1.running import provider_failure
from aiinfra.gateway.v1.vendor_endpoint import OpenAIEndpoint, OpenBody
from aiinfra.providers.base import EmbeddingAnswer, EmbeddingCall, ProviderError, TokenUsage
from queue_app.api import DRY_RUN_HEADER, is_dry_run, submission_of
from queue_app.facade import Submission, embed

INPUTS_MAX = 2_048
Text = Annotated[str, StringConstraints(min_length=1)]
Tokens = Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)]
Input = Text | Annotated[list[Text], Field(min_length=1, max_length=INPUTS_MAX)] | Tokens
Inputs = Input | Annotated[list[Tokens], Field(min_length=1, max_length=INPUTS_MAX)]


class EmbeddingsRequest(OpenBody):
    """Texts to embed. Further parameters are passed on."""

    model: Annotated[str, StringConstraints(min_length=1, max_length=161)]
    input: Inputs
    dimensions: Annotated[int, Field(ge=1), WHOLE_FLOATS] | None = None
    encoding_format: Literal["float", "base64"] | None = "float"


class Embedding(BaseModel):
    """One vector: numbers, or 32-bit floats in base64."""

    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float] | str


class EmbeddingsUsage(BaseModel):
    """The tokens of all texts."""

    prompt_tokens: int
    total_tokens: int


class Embeddings(BaseModel):
    """One vector per text, in order."""

    object: Literal["list"] = "list"
    data: list[Embedding]
    model: str
    usage: EmbeddingsUsage


def embeddings(call: ApiCall, body: EmbeddingsRequest) -> Embeddings | HttpResponse:
    """Embed the texts on the same connection."""
    with client_errors():
        submission = submission_from(call, body)
        if is_dry_run(call.http):
            if call.idempotency_key is not None:
                raise ApiError(400, "invalid_request", "A dry run has no answer to keep.", param="Idempotency-Key")
            return quoted(submission, has_answer=False)
        return embedded(submission, body)


def embedded(submission: Submission, body: EmbeddingsRequest, reference: UUID | None = None) -> Embeddings:
    """The vectors of a call, which is sent now. Raises ApiError if it fails, and what `embed` raises."""
    further = {"dimensions": body.dimensions} if body.dimensions else {}
    asked = EmbeddingCall(_texts(body.input), submission.timeout_ms / 1000, {**further, **(body.model_extra or {})})
    try:
        answer = embed(submission, asked, reference)
    except ProviderError as error:
        raise provider_failure(error.code, error.message) from None
    return _embeddings(answer, body)


def submission_from(call: ApiCall, body: EmbeddingsRequest) -> Submission:
    """The call as the queue knows it. Raises ApiError and InvalidValueError for what cannot be sent."""
    choice = resolve_embedding(call, body.model)
    texts = [{"role": "user", "content": text if isinstance(text, str) else str(text)} for text in _texts(body.input)]
    return submission_of(call, options_from(call.http, {"messages": texts}), *choice)


def _texts(given: Any) -> list[Any]:
    """One item per vector: a text, or its tokens."""
    is_one = isinstance(given, str) or isinstance(given[0], int)
    return [given] if is_one else given


def _embeddings(answer: EmbeddingAnswer, body: EmbeddingsRequest) -> Embeddings:
    usage = answer.usage or TokenUsage()
    as_text = body.encoding_format == "base64"
    vectors = [_packed(vector) if as_text else vector for vector in answer.vectors]
    return Embeddings(
        data=[Embedding(index=index, embedding=vector) for index, vector in enumerate(vectors)],
        model=body.model,
        usage=EmbeddingsUsage(prompt_tokens=usage.prompt, total_tokens=usage.total),
    )


def _packed(vector: list[float]) -> str:
    """Little-endian 32-bit floats in base64, which OpenAI's SDKs ask for."""
    return b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


embeddings_endpoint = OpenAIEndpoint(
    {
        ("POST", None): Operation(
            embeddings,
            "chat:write",
            EmbeddingsRequest,
            Embeddings,
            "Embed texts (OpenAI)",
            once="claimed",
            once_with=lambda call: (asked_in_headers(call.http),),
            door="embeddings",
            headers=(DRY_RUN_HEADER,),
        )
    }
)
