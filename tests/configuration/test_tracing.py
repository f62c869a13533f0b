"""OpenTelemetry variables: valid values, and which of them turn tracing on."""

from typing import Any

import pytest

from aiinfra.configuration.reading import WrongSettingsError, read
from aiinfra.configuration.setting import Setting
from aiinfra.configuration.table import tracing


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTEL_TRACES_EXPORTER", "zipkin"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://key@collector/v1/traces"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "Bearer hunter2"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "10000"),
        ("OTEL_RESOURCE_ATTRIBUTES", "production"),
        ("OTEL_RESOURCE_ATTRIBUTES", "a=b,,c=d"),
        ("OTEL_TRACES_SAMPLER", "sometimes"),
        ("OTEL_TRACES_SAMPLER_ARG", "10"),
        ("OTEL_PROPAGATORS", "tracecontext,b3"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "5000"),
        ("OTEL_SDK_DISABLED", "maybe"),
        ("TRACED_PROVIDERS", "openai,vllm"),
    ],
)
def test_an_invalid_value_is_refused_in_one_line_with_its_variable(name: str, value: str) -> None:
    with pytest.raises(WrongSettingsError) as refused:
        read({name: value})
    (line,) = str(refused.value).splitlines()
    assert line.startswith(f"{name} must ")
    assert "hunter2" not in line


@pytest.mark.parametrize(
    ("setting", "text", "expected"),
    [
        (tracing.OTEL_EXPORTER_OTLP_HEADERS, "authorization=Basic%20YTpi==, x-scope=a", None),
        (tracing.OTEL_PROPAGATORS, "TraceContext, baggage", ["tracecontext", "baggage"]),
        (tracing.TRACED_PROVIDERS, "openai, deepseek,", ["openai", "deepseek"]),
    ],
)
def test_a_valid_value_is_read(setting: Setting[Any], text: str, expected: object) -> None:
    assert read({setting.name: text})[setting] == (expected or text)


ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318/"}


@pytest.mark.parametrize(
    ("environment", "is_on"),
    [
        ({}, False),
        (ENDPOINT, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c/traces"}, True),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({**ENDPOINT, "OTEL_TRACES_EXPORTER": "none"}, False),
        ({**ENDPOINT, "OTEL_SDK_DISABLED": "true"}, False),
    ],
)
def test_tracing_is_on_if_an_exporter_or_an_endpoint_is_set(environment: dict[str, str], is_on: bool) -> None:
    assert tracing.is_on(read(environment)) == is_on


def test_traces_use_their_own_endpoint_or_the_general_one() -> None:
    assert tracing.endpoint(read({})) == "http://localhost:4318/v1/traces"
    assert tracing.endpoint(read(ENDPOINT)) == "http://c:4318/v1/traces"
    assert tracing.endpoint(read({**ENDPOINT, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://d/x"})) == "http://d/x"
