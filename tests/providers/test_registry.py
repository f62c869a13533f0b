"""Which providers the settings configure."""

import subprocess
import sys
import threading
import uuid

import httpx2
import pytest
from pytest_django.fixtures import Settings

from aiinfra.providers.base import BillState, ChatCall, ErrorCode, ProviderAttempt, ProviderError
from aiinfra.providers.registry import (
    ProviderNotConfiguredError,
    _providers,
    adapter_for,
    is_configured,
    provider_names,
    sandbox_url,
)
from tests.support.processes import ROOT, free_port

NO_KEYS = {"openai": "", "deepseek": "", "anthropic": ""}


@pytest.fixture(autouse=True)
def nothing_configured(settings: Settings) -> None:
    settings.PROVIDER_API_KEYS = NO_KEYS
    settings.PROVIDER_BASE_URLS = NO_KEYS
    settings.COMPATIBLE_PROVIDERS = {}
    settings.SANDBOX_URL = "http://127.0.0.1:8002/"


def test_sandbox_serves_all_three_providers_without_keys() -> None:
    assert provider_names() == ["openai", "deepseek", "anthropic"]
    assert sandbox_url() == "http://127.0.0.1:8002"


def test_one_key_disables_the_sandbox(settings: Settings) -> None:
    settings.PROVIDER_API_KEYS = {**NO_KEYS, "deepseek": "sk-1"}
    assert provider_names() == ["deepseek"]
    assert is_configured("deepseek")
    assert not is_configured("openai")
    assert sandbox_url() is None


def test_compatible_server_is_a_provider_with_its_own_name(settings: Settings) -> None:
    settings.COMPATIBLE_PROVIDERS = {"my-vllm": "http://10.0.0.5:8000/v1"}
    settings.COMPATIBLE_API_KEYS = {"my-vllm": "k"}
    assert provider_names() == ["openai", "deepseek", "anthropic", "my-vllm"]


def test_unknown_provider_has_no_adapter() -> None:
    with pytest.raises(ProviderNotConfiguredError):
        adapter_for("nobody")


def test_threads_share_one_adapter_until_the_key_changes(settings: Settings) -> None:
    found: set[int] = set()
    threads = [threading.Thread(target=lambda: found.add(id(adapter_for("openai")))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 1
    settings.PROVIDER_API_KEYS = {**NO_KEYS, "openai": "sk-new"}
    assert id(adapter_for("openai")) not in found


def test_refused_connection_is_certainly_not_billed(settings: Settings) -> None:
    settings.SANDBOX_URL = f"http://127.0.0.1:{free_port()}"
    attempt = ProviderAttempt(id=uuid.uuid4(), organization_id=1, provider="openai", model="gpt-4")
    adapter = adapter_for("openai")
    with pytest.raises(ProviderError) as caught:
        adapter.chat(attempt, ChatCall(messages=[{"role": "user", "content": "hi"}], max_tokens=5, timeout_s=5))
    assert (caught.value.code, caught.value.may_be_billed) == (ErrorCode.CONNECTION_ERROR, False)
    with pytest.raises(httpx2.HTTPError):
        adapter.bill_of(attempt.id)


def test_real_provider_cannot_report_bills(settings: Settings) -> None:
    settings.PROVIDER_API_KEYS = {"openai": "sk-1", "deepseek": "sk-2", "anthropic": "sk-3"}
    for name in provider_names():
        assert adapter_for(name).bill_of(uuid.uuid4()) == (BillState.CANNOT_SAY, None)


def test_sandbox_base_url_is_recognized(settings: Settings) -> None:
    settings.SANDBOX_URL = f"http://127.0.0.1:{free_port()}"
    settings.PROVIDER_API_KEYS = {**NO_KEYS, "openai": "sk-1"}
    settings.PROVIDER_BASE_URLS = {**NO_KEYS, "openai": f"{settings.SANDBOX_URL}/openai/v1"}
    assert _providers()["openai"].sandbox_url == settings.SANDBOX_URL
    settings.PROVIDER_BASE_URLS = {**NO_KEYS, "openai": "http://127.0.0.1:1/v1"}
    assert _providers()["openai"].sandbox_url is None


def test_provider_lookup_imports_no_client_library() -> None:
    code = (
        "import django; django.setup()\n"
        "from aiinfra.providers.registry import provider_names, is_configured, sandbox_url\n"
        "from aiinfra.providers import backoff, base, breaker, tokens, usage\n"
        "provider_names(); is_configured('openai'); sandbox_url()\n"
        "import sys; print([name for name in ('openai', 'anthropic', 'httpx2', 'bpe_openai') if name in sys.modules])"
    )
    finished = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert finished.stdout.strip() == "[]"
