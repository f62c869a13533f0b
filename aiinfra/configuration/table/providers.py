"""Provider keys and addresses, retries, the circuit breaker, the sandbox."""

from aiinfra.configuration import kinds
from aiinfra.configuration.addresses import CompatibleProviders, WebUrl
from aiinfra.configuration.setting import Setting, Values
from aiinfra.configuration.table import places

PROVIDERS = ("openai", "deepseek", "anthropic")


def _key(provider: str) -> Setting[str]:
    words = "API key of the provider. Without any provider key, the sandbox replaces all three."
    return Setting(f"{provider.upper()}_API_KEY", kinds.ProviderKey(), "", words)


def _base_url(provider: str) -> Setting[str]:
    return Setting(
        f"{provider.upper()}_BASE_URL", WebUrl(), "", "Alternative address of the provider.", "the provider's own"
    )


def compatible_keys(values: Values) -> dict[str, Setting[str]]:
    """The variable of each compatible server's key, by server name."""
    names = values[AIINFRA_COMPATIBLE_PROVIDERS]
    return {name: _key(name.replace("-", "_")) for name in names}


def uses_own_sandbox(values: Values) -> bool:
    """Whether `run` starts the sandbox: no provider key is set and no other sandbox is configured."""
    return not values.is_set(SANDBOX_URL) and not any(map(values.is_set, KEYS.values()))


OPENAI_API_KEY, DEEPSEEK_API_KEY, ANTHROPIC_API_KEY = map(_key, PROVIDERS)
OPENAI_BASE_URL, DEEPSEEK_BASE_URL, ANTHROPIC_BASE_URL = map(_base_url, PROVIDERS)
KEYS = dict(zip(PROVIDERS, (OPENAI_API_KEY, DEEPSEEK_API_KEY, ANTHROPIC_API_KEY), strict=True))
BASE_URLS = dict(zip(PROVIDERS, (OPENAI_BASE_URL, DEEPSEEK_BASE_URL, ANTHROPIC_BASE_URL), strict=True))
AIINFRA_COMPATIBLE_PROVIDERS = Setting(
    "AIINFRA_COMPATIBLE_PROVIDERS",
    CompatibleProviders(*PROVIDERS),
    {},
    "`name=base_url,...`: more servers with an OpenAI-compatible API. Set the key of each in `<NAME>_API_KEY`.",
    "none",
)
PROVIDER_ANSWER_MAX_MIB = Setting(
    "PROVIDER_ANSWER_MAX_MIB",
    kinds.Whole(1, 1024),
    16,
    "Largest answer of a provider in MiB, after decompression. A call with a larger answer fails.",
)
PROVIDER_STREAM_IDLE_S = Setting(
    "PROVIDER_STREAM_IDLE_S",
    kinds.Decimal(0.1, 3_600),
    60.0,
    "Seconds that a streamed answer may pause. It then counts as timed out.",
)
BREAKER_FAILURES = Setting(
    "BREAKER_FAILURES", kinds.Whole(1, 1000), 5, "Consecutive failures that open a model's circuit breaker."
)
BREAKER_OPEN_S = Setting(
    "BREAKER_OPEN_S",
    kinds.Decimal(0.1, 86_400),
    60.0,
    "Seconds that a circuit stays open before one call probes the model.",
)
RETRY_BASE_S = Setting(
    "RETRY_BASE_S",
    kinds.Decimal(0.01, 3_600),
    1.0,
    "Maximum wait in seconds before the first retry of a failed call. It doubles with each retry.",
)
RETRY_MAX_S = Setting(
    "RETRY_MAX_S",
    kinds.Decimal(0.01, 3_600),
    30.0,
    "Longest wait in seconds before any retry. At least `RETRY_BASE_S`.",
)
SANDBOX_PORT = Setting(
    "SANDBOX_PORT",
    kinds.PORT,
    lambda values: values[places.PORT] + 2,
    "Port of the sandbox provider that `run` starts.",
    "`PORT` + 2",
)
SANDBOX_URL = Setting(
    "SANDBOX_URL",
    WebUrl(),
    lambda values: f"http://127.0.0.1:{values[SANDBOX_PORT]}",
    "Address of the sandbox. If it points elsewhere, `run` starts no sandbox.",
    "`http://127.0.0.1:SANDBOX_PORT`",
)
SANDBOX_BOOK = Setting(
    "SANDBOX_BOOK",
    kinds.Text("a path"),
    "",
    "File of the sandbox's billing records; `run` sets it.",
    "in the data directory",
)
SANDBOX_LATENCY_MS = Setting(
    "SANDBOX_LATENCY_MS", kinds.Decimal(0, 600_000), 0.0, "Latency of the sandbox in milliseconds."
)
