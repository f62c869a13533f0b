"""The endpoints that a batch can call, and how a line becomes a call and a response."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from pydantic import BaseModel

from aiinfra.api import ApiCall
from aiinfra.failures import ApiError
from aiinfra.gateway.v1 import openai_chat, openai_embeddings, openai_responses
from aiinfra.gateway.v1.openai_completion import completion_of
from aiinfra.gateway.v1.openai_response import response_of
from aiinfra.gateway.v1.responses_body import ResponsesRequest
from aiinfra.gateway.v1.responses_tools import Tools
from aiinfra.gateway.v1.vendor_endpoint import OpenBody
from aiinfra.tenants.key_access import DOORS
from queue_app.facade import RequestStatus, Submission


@dataclass(frozen=True)
class LineEndpoint:
    """An endpoint. It has an `answer` function if its calls are queued, and a `send` function otherwise.

    `name` is the endpoint's name in `key_access`.
    """

    name: str
    payload: type[OpenBody]
    submission: Callable[[ApiCall, Any], Submission]
    answer: Callable[[RequestStatus, Any], dict[str, Any]] | None = None
    send: Callable[[Submission, Any, UUID], BaseModel] | None = None
    """Sends a call immediately; its cost is recorded under the ID."""

    def check(self, call: ApiCall) -> None:
        """Raise ApiError 403 for a key that cannot use the endpoint."""
        if not call.principal.limits.access.allows_door(self.name):
            raise ApiError(403, "forbidden", f"This key can't use the endpoint {DOORS[self.name]}.")


EMBEDDINGS = "/v1/embeddings"
LINE_ENDPOINTS: Mapping[str, LineEndpoint] = {
    "/v1/chat/completions": LineEndpoint(
        "chat_completions",
        openai_chat.ChatCompletionRequest,
        openai_chat.submission_from,
        lambda status, _body: completion_of(status),
    ),
    "/v1/responses": LineEndpoint(
        "responses",
        ResponsesRequest,
        lambda call, body: openai_responses.submission_from(call, body)[0],
        lambda status, body: response_of(status, body.sent, Tools(body.offered)),
    ),
    EMBEDDINGS: LineEndpoint(
        "embeddings",
        openai_embeddings.EmbeddingsRequest,
        openai_embeddings.submission_from,
        send=openai_embeddings.embedded,
    ),
}
"""URL -> endpoint."""
