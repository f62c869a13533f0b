"""The files in `deploy/`, `compose.yaml`, and the Dockerfile match the product."""

import configparser
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import get_commands

from aiinfra.configuration.table import SETTINGS
from aiinfra.configuration.table.web import WEB_DRAIN_S, WEB_LAME_DUCK_S
from aiinfra.stack.programs import WEB_END_S, WORKER_DRAIN_S

ROOT = Path(__file__).resolve().parents[2]
UNITS = sorted((ROOT / "deploy" / "systemd").glob("*.service"))
NAMES = set(SETTINGS)
WEB_STOP_S = WEB_LAME_DUCK_S.default + WEB_DRAIN_S.default + WEB_END_S
"""The default maximum time for a web server to stop."""
GUNICORN = ["gunicorn", "-c", "python:aiinfra.stack.gunicorn", "aiinfra.wsgi"]


def compose() -> dict[str, Any]:
    services: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["services"]
    return services


def is_ours(command: list[str]) -> bool:
    """Whether the command starts a program of the product."""
    return command == GUNICORN or (command[:2] == ["python", "manage.py"] and command[2] in get_commands())


def unit(path: Path) -> dict[str, str]:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read(path)
    return dict(parser["Service"])


def test_compose_services_use_existing_programs_and_settings() -> None:
    services = compose()
    ours = [services[name] for name in ("release", "web", "workers", "scheduler")]
    assert all(is_ours(service.get("command", GUNICORN)) for service in ours)
    assert all(service["environment"].keys() <= NAMES for service in ours)
    assert all(service["read_only"] and service["cap_drop"] == ["ALL"] for service in ours)
    assert {"DATABASE_URL", "REDIS_URL"} <= services["web"]["environment"].keys()


def test_compose_programs_start_after_the_release_and_have_time_to_drain() -> None:
    services = compose()
    for name in ("web", "workers", "scheduler"):
        assert services[name]["depends_on"] == {"release": {"condition": "service_completed_successfully"}}
    assert int(services["workers"]["stop_grace_period"].removesuffix("s")) > WORKER_DRAIN_S
    assert int(services["web"]["stop_grace_period"].removesuffix("s")) >= WEB_STOP_S


def test_the_image_contains_the_product_and_runs_as_an_unprivileged_user() -> None:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    copied = re.findall(r"^COPY (\w[\w.]*) \./", text, re.MULTILINE)
    assert all((ROOT / name).exists() for name in copied)
    assert {"aiinfra", "queue_app", "cache_app", "cost_app", "templates", "static", "manage.py"} == set(copied)
    assert "--require-hashes" in text
    assert re.search(r"^USER [1-9]\d*$", text, re.MULTILINE)
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert ignored[0] == "*"
    assert {f"!{name}" for name in [*copied, "requirements.txt"]} == {line for line in ignored if line.startswith("!")}


class _Health(BaseHTTPRequestHandler):
    """A web server that only responds to the liveness probe."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/healthz" else 404)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Log nothing."""


def is_healthy(port: int) -> bool:
    """The result of the image's health check for a web server on this port."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    (command,) = re.findall(r"^HEALTHCHECK .*\n  CMD (.+)$", text, re.MULTILINE)
    python, *arguments = json.loads(command)
    assert python == "python"
    environment = {**os.environ, "PORT": str(port)}
    done = subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, check=False)
    return done.returncode == 0


def test_the_image_is_healthy_while_its_web_server_responds() -> None:
    with HTTPServer(("127.0.0.1", 0), _Health) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        assert is_healthy(server.server_port)
        thread.join()
    assert not is_healthy(server.server_port)


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.stem)
def test_systemd_units_start_existing_programs(path: Path) -> None:
    service = unit(path)
    assert is_ours(service["ExecStart"].removeprefix("/opt/aiinfra/.venv/bin/").split())
    assert service["KillMode"] == "mixed"
    assert service["User"] == "aiinfra"


def test_systemd_units_have_time_to_drain() -> None:
    assert int(unit(ROOT / "deploy/systemd/aiinfra-workers.service")["TimeoutStopSec"]) > WORKER_DRAIN_S
    assert int(unit(ROOT / "deploy/systemd/aiinfra-web.service")["TimeoutStopSec"]) >= WEB_STOP_S


def test_the_documented_systemd_service_has_time_to_drain() -> None:
    text = (ROOT / "docs/running.md").read_text(encoding="utf-8")
    ((stop_s,),) = (re.findall(r"`TimeoutStopSec=(\d+)`", text),)
    assert int(stop_s) > max(WORKER_DRAIN_S, WEB_DRAIN_S.default + WEB_END_S)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_units_are_valid(tmp_path: Path) -> None:
    for path in UNITS:
        text = path.read_text(encoding="utf-8")
        text = re.sub(r"^ExecStart=.*$", "ExecStart=/bin/true", text, flags=re.MULTILINE)
        (tmp_path / path.name).write_text(re.sub(r"^(User|Group|WorkingDirectory)=.*\n", "", text, flags=re.MULTILINE))
    files = [str(tmp_path / path.name) for path in UNITS]
    done = subprocess.run(["systemd-analyze", "verify", *files], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_haproxy_probes_readiness_and_hides_metrics() -> None:
    text = (ROOT / "deploy/haproxy/haproxy.cfg").read_text(encoding="utf-8")
    assert "option httpchk GET /readyz" in text
    assert "deny_status 404 if { path /metrics }" in text
    assert f"WEB_LAME_DUCK_S ({WEB_LAME_DUCK_S.default})" in text
    assert "timeout check 10s" in text, "a host that takes a second to answer would count as down"


def test_caddy_probes_readiness_and_hides_metrics() -> None:
    text = (ROOT / "deploy/caddy/Caddyfile").read_text(encoding="utf-8")
    assert "health_uri /readyz" in text
    assert "respond /metrics 404" in text
    assert text.count("{") == text.count("}")
