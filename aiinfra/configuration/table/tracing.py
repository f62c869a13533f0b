"""Traces: OpenTelemetry's variables. Its SDK reads some of them itself; they are listed so that they are checked."""

from collections.abc import Callable

from aiinfra.configuration import kinds
from aiinfra.configuration.addresses import WebUrl
from aiinfra.configuration.pairs import Names, Pairs, Words
from aiinfra.configuration.setting import Setting, Values

TRACES_PATH = "/v1/traces"


def is_on(values: Values) -> bool:
    """Whether spans are recorded and sent."""
    return values[OTEL_TRACES_EXPORTER] == "otlp" and not values[OTEL_SDK_DISABLED]


def endpoint(values: Values) -> str:
    """The address that spans are sent to."""
    base = values[OTEL_EXPORTER_OTLP_ENDPOINT].rstrip("/")
    return values[OTEL_EXPORTER_OTLP_TRACES_ENDPOINT] or f"{base}{TRACES_PATH}"


def _exporter(values: Values) -> str:
    named = (OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT)
    return "otlp" if any(map(values.is_set, named)) else "none"


def _protocol(prefix: str) -> Setting[str]:
    help_text = "Protocol of the collector. gRPC isn't supported: use the collector's port for HTTP, usually 4318."
    return Setting(f"{prefix}_PROTOCOL", kinds.Choice("http/protobuf"), "http/protobuf", help_text)


def _headers(prefix: str) -> Setting[str]:
    help_text = "Headers for the collector, such as its key: `authorization=Bearer%20...`."
    return Setting(f"{prefix}_HEADERS", Pairs(is_secret=True), "", help_text)


def _timeout(prefix: str, default: float | Callable[[Values], float], default_text: str = "") -> Setting[float]:
    help_text = "Seconds before an export is dropped, including its retries. Other languages' SDKs use milliseconds."
    return Setting(f"{prefix}_TIMEOUT", kinds.Decimal(0.1, 60), default, help_text, default_text)


OTEL_TRACES_EXPORTER = Setting(
    "OTEL_TRACES_EXPORTER",
    kinds.Choice("otlp", "none"),
    _exporter,
    "Where traces go: to a collector by OTLP, or nowhere. See [Traces](tracing.md).",
    "`otlp` with an endpoint, otherwise `none`",
)
OTEL_EXPORTER_OTLP_ENDPOINT = Setting(
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    WebUrl(),
    "http://localhost:4318",
    "Base address of the collector. Traces go to `/v1/traces` below it.",
)
OTEL_EXPORTER_OTLP_TRACES_ENDPOINT = Setting(
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", WebUrl(), "", "Full address for traces. Takes precedence."
)
OTEL_EXPORTER_OTLP_PROTOCOL = _protocol("OTEL_EXPORTER_OTLP")
OTEL_EXPORTER_OTLP_TRACES_PROTOCOL = _protocol("OTEL_EXPORTER_OTLP_TRACES")
OTEL_EXPORTER_OTLP_HEADERS = _headers("OTEL_EXPORTER_OTLP")
OTEL_EXPORTER_OTLP_TRACES_HEADERS = _headers("OTEL_EXPORTER_OTLP_TRACES")
OTEL_EXPORTER_OTLP_TIMEOUT = _timeout("OTEL_EXPORTER_OTLP", 10.0)
OTEL_EXPORTER_OTLP_TRACES_TIMEOUT = _timeout(
    "OTEL_EXPORTER_OTLP_TRACES", lambda values: values[OTEL_EXPORTER_OTLP_TIMEOUT], "`OTEL_EXPORTER_OTLP_TIMEOUT`"
)
OTEL_SERVICE_NAME = Setting("OTEL_SERVICE_NAME", kinds.Text(), "aiinfra", "Name of this installation in traces.")
OTEL_RESOURCE_ATTRIBUTES = Setting(
    "OTEL_RESOURCE_ATTRIBUTES",
    Pairs(),
    "",
    "Attributes of every span of this host, such as `deployment.environment.name=production`.",
)
OTEL_TRACES_SAMPLER = Setting(
    "OTEL_TRACES_SAMPLER",
    kinds.Choice(
        "always_on",
        "always_off",
        "traceidratio",
        "parentbased_always_on",
        "parentbased_always_off",
        "parentbased_traceidratio",
    ),
    "parentbased_always_on",
    "Which requests are traced. `parentbased_...` follows the client's `traceparent`, if it sends one.",
)
OTEL_TRACES_SAMPLER_ARG = Setting(
    "OTEL_TRACES_SAMPLER_ARG", kinds.Decimal(0, 1), 1.0, "Share of the requests that `..._traceidratio` traces."
)
OTEL_PROPAGATORS = Setting(
    "OTEL_PROPAGATORS",
    Words("tracecontext", "baggage", "none"),
    ["tracecontext", "baggage"],
    "With `tracecontext`, a client's `traceparent` is continued. Baggage is accepted and not used.",
    "`tracecontext,baggage`",
)
OTEL_BSP_SCHEDULE_DELAY = Setting(
    "OTEL_BSP_SCHEDULE_DELAY", kinds.Whole(1, 60_000), 5000, "Milliseconds between two exports of a process."
)
OTEL_BSP_MAX_QUEUE_SIZE = Setting(
    "OTEL_BSP_MAX_QUEUE_SIZE",
    kinds.Whole(1, 100_000),
    2048,
    "Spans that a process keeps for the next export. Further ones are dropped.",
)
OTEL_BSP_MAX_EXPORT_BATCH_SIZE = Setting(
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
    kinds.Whole(1, 100_000),
    512,
    "Maximum spans per export. At most `OTEL_BSP_MAX_QUEUE_SIZE`.",
)
OTEL_SDK_DISABLED = Setting(
    "OTEL_SDK_DISABLED", kinds.Switch(), False, "Turns tracing off, regardless of other settings."
)
TRACED_PROVIDERS: Setting[list[str]] = Setting(
    "TRACED_PROVIDERS",
    Names(),
    [],
    "Providers that receive the `traceparent` of each call, such as your own vLLM. Other providers don't receive "
    "trace IDs.",
    "none",
)
