"""The three facades, prices, an empty Redis, and a scripted provider."""

from collections.abc import Iterator

import pytest

from cache_app import create_semantic_cache
from cache_app.embedding import vector_cache
from cache_app.facade import SemanticCache
from cost_app import create_cost_optimizer
from cost_app.facade import CostOptimizer
from queue_app import create_ai_request_queue
from queue_app.facade import AIRequestQueue
from tests.api.conftest import _queue, key_of  # noqa: F401 - fixtures
from tests.queue_app.conftest import provider  # noqa: F401 - a fixture


@pytest.fixture
def queue() -> AIRequestQueue:
    return create_ai_request_queue()


@pytest.fixture
def cache() -> Iterator[SemanticCache]:
    vector_cache.clear_vectors()
    yield create_semantic_cache()
    vector_cache.clear_vectors()


@pytest.fixture
def cost() -> CostOptimizer:
    return create_cost_optimizer()
