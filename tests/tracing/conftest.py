"""Tracing enabled, with a collector."""

from collections.abc import Callable, Iterator

import pytest
from opentelemetry.sdk.trace import TracerProvider
from pytest_django.fixtures import Settings

from aiinfra.tracing import sdk
from tests.api.conftest import _queue, other_program, program  # noqa: F401 - fixtures
from tests.gateway.conftest import queued, room, worker  # noqa: F401 - fixtures
from tests.gateway.stepwise import stepwise  # noqa: F401 - fixture
from tests.providers.conftest import sandbox, sandbox_process  # noqa: F401 - fixtures
from tests.support.collector import Collector, SentSpan, collecting
from tests.support.processes import wait_until

LAST_EXPORT_S = 120.0
"""Long enough for a busy machine: an export that times out is retried, so its spans could arrive twice."""

Sent = Callable[..., dict[str, SentSpan]]


@pytest.fixture
def collector(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with collecting() as found:
        settings.TRACING = True
        settings.TRACES_ENDPOINT = f"{found.url}/v1/traces"
        settings.TRACES_TIMEOUT_S = LAST_EXPORT_S
        monkeypatch.setattr(sdk, "_provider", None)
        yield found
        found.is_open.set()
        sdk.stop(LAST_EXPORT_S)


@pytest.fixture
def sent(collector: Collector) -> Sent:
    """Waits for spans with these names and returns all received spans by name."""

    def wait(*names: str) -> dict[str, SentSpan]:
        wait_until(lambda: _has_sent(collector, names), f"spans {names}", LAST_EXPORT_S)
        assert len(collector.spans) == len({span.name for span in collector.spans})
        return {span.name: span for span in collector.spans}

    return wait


def _has_sent(collector: Collector, names: tuple[str, ...]) -> bool:
    if isinstance(sdk._provider, TracerProvider):
        sdk._provider.force_flush()
    return set(names) <= {span.name for span in collector.spans}
