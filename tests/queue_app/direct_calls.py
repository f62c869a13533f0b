"""Starts direct calls and reads their results."""

from collections.abc import Callable

import pytest

from aiinfra.redis import redis_client
from aiinfra.tenants.models import Organization
from queue_app.models import AIRequest
from queue_app.ordering import index
from queue_app.processing.direct import DirectCall
from queue_app.submission.intake import accept
from queue_app.submission.submission import Submission


@pytest.fixture
def start(organization: Organization) -> Callable[..., tuple[AIRequest, DirectCall]]:
    """Accepts a request that starts immediately if the rules allow it."""

    def make(**fields: object) -> tuple[AIRequest, DirectCall]:
        defaults = {
            "organization_id": organization.pk,
            "provider": "deepseek",
            "model": "deepseek-chat",
            "messages": [{"role": "user", "content": "Hi"}],
        }
        call = DirectCall()
        return accept(Submission(**{**defaults, **fields}), starter=call), call  # type: ignore[arg-type]

    return make


Start = Callable[..., tuple[AIRequest, DirectCall]]


def index_is_empty() -> bool:
    """Whether the index counts no request."""
    client = redis_client()
    counts = [
        client.zcard("{aiq}:claims"),
        client.hlen("{aiq}:inflight"),
        client.hlen("{aiq}:unsent"),
        index.state().size,
    ]
    return not any(counts)


def row(request: AIRequest) -> AIRequest:
    return AIRequest.objects.get(id=request.id)
