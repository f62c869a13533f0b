"""The configured providers, and the adapter of each.

Looking a provider up is cheap and imports nothing; the client libraries (0.7 s, 40 MB) are loaded with the first
adapter.
"""

import os
import threading
from dataclasses import dataclass
from urllib.parse import urlsplit

from django.conf import settings
from django.utils.module_loading import import_string

from aiinfra.providers.base import ProviderAdapter

DEFAULT_BASE_URLS = {
    "openai": "https://api.openai.com/v1",
    "deepseek": "https://api.deepseek.com/v1",
    "anthropic": "https://api.anthropic.com",
}
OPENAI_ADAPTER = "aiinfra.providers.adapters.openai_compatible.OpenAICompatibleAdapter"
ANTHROPIC_ADAPTER = "aiinfra.providers.adapters.anthropic_messages.AnthropicAdapter"

SANDBOX_KEY = "sandbox-key"
NO_KEY = "no-key-needed"
"""Sent to servers that need no key; the client library insists on one."""

SPARE_CONNECTIONS = 5
"""Connections beyond the maximum of concurrent calls, for bill lookups."""

_adapters: dict[tuple[int, "Provider"], ProviderAdapter] = {}
_adapters_lock = threading.Lock()


class ProviderNotConfiguredError(LookupError):
    """No provider with this name is configured."""


@dataclass(frozen=True)
class Provider:
    """A configured provider. `sandbox_url` is set if its calls go to the sandbox."""

    name: str
    base_url: str
    api_key: str
    is_named_by_operator: bool
    sandbox_url: str | None = None


def provider_names() -> list[str]:
    """The configured providers."""
    return list(_providers())


def is_configured(name: str) -> bool:
    """Whether calls to this provider are possible."""
    return name in _providers()


def base_url_of(name: str) -> str:
    """Where calls to this provider go; empty if it is not configured."""
    provider = _providers().get(name)
    return provider.base_url if provider else ""


def is_sandboxed(name: str) -> bool:
    """Whether calls to this provider go to the sandbox."""
    provider = _providers().get(name)
    return provider is not None and provider.sandbox_url is not None


def adapter_for(name: str) -> ProviderAdapter:
    """The provider's adapter, created once per process and credential. Raises ProviderNotConfiguredError."""
    provider = _providers().get(name)
    if provider is None:
        raise ProviderNotConfiguredError(name)
    key = (os.getpid(), provider)
    with _adapters_lock:
        if key not in _adapters:
            _adapters[key] = _make_adapter(provider)
        return _adapters[key]


def sandbox_url() -> str | None:
    """Base address of the sandbox provider, or None if a real provider's key is set."""
    if any(settings.PROVIDER_API_KEYS.values()):
        return None
    return str(settings.SANDBOX_URL).rstrip("/")


def _providers() -> dict[str, Provider]:
    sandbox = sandbox_url()
    known = [_sandboxed(name, sandbox) if sandbox else _known(name) for name in DEFAULT_BASE_URLS]
    compatible = [_compatible(name, base_url) for name, base_url in settings.COMPATIBLE_PROVIDERS.items()]
    return {provider.name: provider for provider in known + compatible if provider.api_key}


def _sandboxed(name: str, sandbox: str) -> Provider:
    base_url = f"{sandbox}/{name}" if name == "anthropic" else f"{sandbox}/{name}/v1"
    return _named(name, base_url, SANDBOX_KEY)


def _known(name: str) -> Provider:
    api_key = settings.PROVIDER_API_KEYS[name]
    if chosen := settings.PROVIDER_BASE_URLS[name]:
        return _named(name, chosen, api_key)
    return Provider(name, DEFAULT_BASE_URLS[name], api_key, is_named_by_operator=False)


def _compatible(name: str, base_url: str) -> Provider:
    return _named(name, base_url, settings.COMPATIBLE_API_KEYS.get(name) or NO_KEY)


def _named(name: str, base_url: str, api_key: str) -> Provider:
    """A provider whose address the operator configured."""
    sandbox = str(settings.SANDBOX_URL).rstrip("/")
    sandbox_url = sandbox if base_url.startswith(f"{sandbox}/") else None
    return Provider(name, base_url, api_key, is_named_by_operator=True, sandbox_url=sandbox_url)


def _make_adapter(provider: Provider) -> ProviderAdapter:
    from aiinfra import egress

    # An address from the code must be public; one that the operator configured may be on a private network.
    trusted = {urlsplit(provider.base_url).hostname or ""} if provider.is_named_by_operator else set()
    connections = max(settings.WORKER_THREADS, settings.WAITING_CLIENTS_MAX) + SPARE_CONNECTIONS
    http_client = egress.http_client(
        trusted_hosts=frozenset(trusted),
        connections=connections,
        body_bytes=settings.PROVIDER_ANSWER_MAX_MIB * 1024 * 1024,
    )
    dialect = ANTHROPIC_ADAPTER if provider.name == "anthropic" else OPENAI_ADAPTER
    adapter: ProviderAdapter = import_string(dialect)(provider, http_client)
    return adapter
