"""Effects of tracing on a process: nothing is imported while it is off, and failures don't affect requests."""

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.test import Client
from pytest_django.fixtures import Settings

from aiinfra.logs import JsonFormatter
from aiinfra.stack import doctor
from aiinfra.stack.findings import Level
from aiinfra.tracing import sdk, spans
from tests.support.collector import Collector, collecting
from tests.support.processes import ROOT, free_port
from tests.tracing.conftest import LAST_EXPORT_S, Sent

ASK = """
import django, sys
django.setup()
from django.test import Client
import queue_app.tasks, queue_app.scheduler, aiinfra.stack.gunicorn
from aiinfra.tracing import spans
spans.preload()
with spans.span("nothing") as span:
    assert span is None
client = Client(headers={"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"})
assert client.get("/api/ai/no").status_code == 404
spans.stop()
print(sorted(name for name in sys.modules if name.startswith(("opentelemetry.sdk.trace", "opentelemetry.exporter"))))
"""
"""Only these modules are checked, because redis-py imports the SDK's metrics classes without using them."""
FORK = """
import django, os
django.setup()
from aiinfra.tracing import sdk, spans
sdk.STOP_S = 60  # a busy machine needs longer for the last export
spans.preload()
child = os.fork()
with spans.span("parent" if child else "child"):
    pass
spans.stop()
if child:
    os.waitpid(child, 0)
"""


def run(code: str, data_dir: Path, **environment: str) -> str:
    given = {"DJANGO_SETTINGS_MODULE": "aiinfra.settings", "AIINFRA_DATA_DIR": str(data_dir), "ALLOWED_HOSTS": "*"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, **given, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("environment", [{}, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_SDK_DISABLED": "true"}])
def test_sdk_and_exporter_are_not_imported_while_tracing_is_off(tmp_path: Path, environment: dict[str, str]) -> None:
    assert run(ASK, tmp_path, **environment) == "[]\n"


def test_each_process_after_a_fork_sends_its_own_spans(tmp_path: Path) -> None:
    with collecting() as collector:
        run(
            FORK,
            tmp_path,
            OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
            OTEL_EXPORTER_OTLP_COMPRESSION="gzip",
            OTEL_RESOURCE_ATTRIBUTES="deployment.environment.name=test",
        )
    assert sorted(span.name for span in collector.spans) == ["child", "parent"]
    resources = [span.resource for span in collector.spans]
    assert {each["service.name"] for each in resources} == {"aiinfra"}
    assert {each["deployment.environment.name"] for each in resources} == {"test"}
    assert len({each["process.pid"] for each in resources}) == 2


def test_an_unavailable_collector_does_not_affect_requests(settings: Settings, collector: Collector) -> None:
    settings.TRACES_ENDPOINT, settings.TRACES_TIMEOUT_S = f"http://127.0.0.1:{free_port()}/v1/traces", 0.1
    assert Client().get("/accounts/nothing/").status_code == 404
    sdk.stop(LAST_EXPORT_S)


def test_a_hanging_collector_does_not_delay_requests_or_shutdown(collector: Collector) -> None:
    collector.is_open.clear()
    assert Client().get("/accounts/nothing/").status_code == 404
    sdk.stop(0.1)
    assert collector.arrived.wait(LAST_EXPORT_S)
    assert Client().get("/accounts/nothing/").status_code == 404
    assert not collector.spans


def test_an_exporter_error_does_not_affect_requests(
    collector: Collector, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sdk, "_processor", lambda: 1 / 0)
    assert Client().get("/accounts/nothing/").status_code == 404
    assert [record.message for record in caplog.records if record.name == sdk.__name__] == ["traces are not recorded"]


def test_doctor_reports_whether_the_collector_accepts_traces(
    settings: Settings, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "COLLECTOR_S", LAST_EXPORT_S)
    settings.TRACES_ENDPOINT, there = f"{collector.url}/nothing", settings.TRACES_ENDPOINT
    assert [(found.level, there in found.text) for found in doctor._traces()] == [(Level.NOTE, False)]
    settings.TRACES_ENDPOINT = there
    assert [(found.level, there in found.text) for found in doctor._traces()] == [(Level.OK, True)]
    settings.TRACING = False
    assert not list(doctor._traces())


def logged() -> dict[str, str]:
    record = logging.LogRecord("name", logging.INFO, "", 0, "text", None, None)
    line: dict[str, str] = json.loads(JsonFormatter().format(record))
    return line


def test_log_lines_include_trace_and_span_ids(collector: Collector, sent: Sent) -> None:
    with spans.span("work"):
        inside = logged()
    span = sent("work")["work"]
    assert (inside["trace_id"], inside["span_id"]) == (span.trace_id, span.span_id)
    assert {"trace_id", "span_id"}.isdisjoint(logged())


def test_log_lines_have_no_trace_while_tracing_is_off() -> None:
    assert list(logged()) == ["at", "level", "logger", "host", "message"]
