"""Sending an earlier request again."""

from collections.abc import Mapping
from typing import Any

from aiinfra.providers.base import Dialect
from queue_app.models import AIRequest, Priority
from queue_app.submission.submission import Submission


def copy_of(request: AIRequest, call: Mapping[str, Any], **changes: Any) -> Submission:
    """An earlier request as a new one with the lowest priority, for the same sender. `call` is the content of the
    earlier one.
    """
    fields: dict[str, Any] = {
        "organization_id": request.organization_id,
        "provider": request.provider,
        "model": request.model,
        "messages": call["messages"],
        "temperature": call["temperature"],
        "max_tokens": call["max_tokens"],
        "service_tier": call.get("service_tier"),
        "parameters": call.get("parameters", {}),
        "dialect": Dialect(call.get("dialect", Dialect.OPENAI)),
        "headers": call.get("headers", {}),
        "priority": Priority.LOW,
        "timeout_ms": request.timeout_ms,
        "api_key_id": request.api_key_id,
        "user_ref": request.user_ref,
        "tags": request.tags,
    }
    return Submission(**{**fields, **changes})
