"""A running sandbox provider for all tests in this folder."""

import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from pytest_django.fixtures import Settings

from aiinfra.providers.adapters import sandbox_bill
from aiinfra.providers.base import ChatCall, ProviderAttempt
from tests.support.processes import free_port, start

# No keep-alive connections: a reset by the sandbox must not break the next test's call.
_http = httpx2.Client(trust_env=False, timeout=60, limits=httpx2.Limits(max_keepalive_connections=0))


TIMEOUTS_S = (0.3, 3.0, 30.0)
"""Timeouts to try in turn, until a call times out after it was sent. On a busy machine, sending can take a while."""


@dataclass(frozen=True)
class SandboxClient:
    """A client of the sandbox's API."""

    url: str

    def behave(self, **behaviour: Any) -> httpx2.Response:
        return _http.post(f"{self.url}/sandbox/behaviour", json=behaviour)

    def get(self, path: str) -> Any:
        return _http.get(f"{self.url}{path}").raise_for_status().json()

    def post(self, path: str, body: Any, **headers: str) -> httpx2.Response:
        keys = {"authorization": "Bearer k", "x-api-key": "k"}
        return _http.post(f"{self.url}{path}", json=body, headers={**keys, **headers})

    def bills(self, attempt_id: uuid.UUID) -> list[dict[str, Any]]:
        return [row for row in self.get("/sandbox/book") if row["attemptId"] == str(attempt_id)]


def sandbox_command(port: int) -> list[str]:
    return [sys.executable, "-m", "aiinfra.providers.sandbox", "--port", str(port)]


@pytest.fixture(scope="session")
def sandbox_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a sandbox that runs for the whole test session."""
    port = free_port()
    book: Path = tmp_path_factory.mktemp("sandbox") / "book.jsonl"
    with start(sandbox_command(port), {"SANDBOX_BOOK": str(book)}, f"http://127.0.0.1:{port}/"):
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def sandbox(sandbox_process: str, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> SandboxClient:
    """A sandbox without faults, to which the settings send all providers. Looking up a bill may take up to a minute."""
    monkeypatch.setattr(sandbox_bill, "LOOK_UP_TIMEOUT_S", 60.0)
    settings.SANDBOX_URL = sandbox_process
    settings.PROVIDER_API_KEYS = {"openai": "", "deepseek": "", "anthropic": ""}
    client = SandboxClient(sandbox_process)
    client.behave().raise_for_status()
    return client


@pytest.fixture
def attempt() -> Callable[..., ProviderAttempt]:
    """Makes attempts with new IDs."""

    def make(provider: str = "openai", model: str = "gpt-4") -> ProviderAttempt:
        return ProviderAttempt(id=uuid.uuid4(), organization_id=1, provider=provider, model=model)

    return make


@pytest.fixture
def call() -> Callable[..., ChatCall]:
    """Makes calls with one user message."""

    def make(text: str = "How do I plan a garden?", *, max_tokens: int = 200, timeout_s: float = 20.0) -> ChatCall:
        return ChatCall(messages=[{"role": "user", "content": text}], max_tokens=max_tokens, timeout_s=timeout_s)

    return make
