"""The gateways that `gateway.py` compares: ours, LiteLLM, and Portkey, each in front of the same upstream."""

import os
import secrets
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from benchmarks._installation import installation
from tests.support.processes import free_port, start, wait_until

LITELLM, PORTKEY = "litellm[proxy]==1.108.7", "@portkey-ai/gateway@1.15.2"
"""Never 1.82.7, 1.82.8, or 1.107.0 of LiteLLM."""
INSTALL_LIMIT_S = 900
LOCALHOST = "127.0.0.1"
QUIETLY = ("sh", "-c", 'exec "$@" >/dev/null 2>&1', "sh")
"""Runs a command and discards its output."""


@dataclass(frozen=True)
class Gateway:
    """A running gateway: its URL for chat completions and its processes."""

    name: str
    url: str
    model: str
    headers: dict[str, str] = field(default_factory=dict)
    processes: list[psutil.Process] = field(default_factory=list)

    def cpu_s(self) -> float:
        """CPU time of all its processes so far, in seconds."""
        return sum(sum(process.cpu_times()[:2]) for process in self.processes if process.is_running())

    def memory_mb(self) -> float:
        """Memory of all its processes; shared memory counts once."""
        return sum(float(process.memory_full_info().pss) for process in self.processes if process.is_running()) / 1e6


@contextmanager
def direct(upstream: int) -> Iterator[Gateway]:
    """No gateway: clients call the upstream directly."""
    yield Gateway("direct", f"http://{LOCALHOST}:{upstream}/v1/chat/completions", "fast")


@contextmanager
def ours(upstream: int) -> Iterator[Gateway]:
    """aiinfra with keys, a blocking budget, the ledger, and the cache on; web servers and Redis."""
    os.environ["AIINFRA_COMPATIBLE_PROVIDERS"] = f"local=http://{LOCALHOST}:{upstream}/v1"
    before = set(psutil.Process().children(recursive=True))
    with installation("sqlite") as at:
        at.manage("add_price", "local", "fast", "--input", "1", "--output", "1", "--source", "benchmark")
        at.manage("shell", "--no-imports", "-c", PREPARED)
        mine = [each for each in psutil.Process().children(recursive=True) if each not in before]
        running = [each for each in mine if "sandbox" not in " ".join(each.cmdline())]
        headers = {"Authorization": f"Bearer {at.api_key}"}
        yield Gateway("aiinfra", f"{at.url}/v1/chat/completions", "local/fast", headers, running)


PREPARED = """
from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope
from cost_app.models import Budget
from queue_app.ordering import index
organization = Organization.objects.get()
with organization_scope(organization.pk):
    Budget.objects.create(organization=organization, period="monthly", limit_nano=10**15, enforcement="block")
index.mark_complete()
"""
"""Creates a budget and marks the index complete, as the scheduler does at its start. Before, starts are slower."""


@contextmanager
def litellm(upstream: int, folder: Path) -> Iterator[Gateway]:
    """LiteLLM's proxy with one worker and only the master key, without budgets and a database."""
    home = folder / "litellm"
    if not (home / "bin" / "litellm").exists():
        venv.create(home, with_pip=True)
        _run([str(home / "bin" / "pip"), "install", "--quiet", LITELLM])
    port, configuration = free_port(), folder / "litellm.yaml"
    model = f"openai/fast, api_base: 'http://{LOCALHOST}:{upstream}/v1', api_key: x"
    configuration.write_text(f"model_list:\n- {{model_name: fast, litellm_params: {{model: {model}}}}}\n")
    command = [str(home / "bin" / "litellm"), "--config", str(configuration), "--host", LOCALHOST, "--port", str(port)]
    key = f"sk-{secrets.token_hex(32)}"
    quiet = {
        "LITELLM_MASTER_KEY": key,
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_LOG": "ERROR",
        "LITELLM_TELEMETRY": "False",
    }
    with _started(command, quiet, f"http://{LOCALHOST}:{port}/health/liveliness") as processes:
        address = f"http://{LOCALHOST}:{port}/v1/chat/completions"
        yield Gateway("LiteLLM", address, "fast", {"Authorization": f"Bearer {key}"}, processes)


@contextmanager
def portkey(upstream: int, folder: Path) -> Iterator[Gateway]:
    """Portkey's gateway, without keys and budgets."""
    home = folder / "portkey"
    program = home / "node_modules" / "@portkey-ai" / "gateway" / "build" / "start-server.js"
    if not program.exists():
        npm = shutil.which("npm")
        if npm is None:
            raise FileNotFoundError("npm is missing")
        _run([npm, "install", "--prefix", str(home), "--no-audit", "--no-fund", "--ignore-scripts", PORTKEY])
    port = free_port()
    headers = {"x-portkey-provider": "openai", "x-portkey-custom-host": f"http://{LOCALHOST}:{upstream}/v1"}
    command = ["node", str(program), f"--port={port}", "--headless"]
    with _started(command, {"TRUSTED_CUSTOM_HOSTS": LOCALHOST}, f"http://{LOCALHOST}:{port}/") as processes:
        address = f"http://{LOCALHOST}:{port}/v1/chat/completions"
        yield Gateway("Portkey", address, "fast", {**headers, "Authorization": "Bearer x"}, processes)


@contextmanager
def _started(command: list[str], env: dict[str, str], ready_url: str) -> Iterator[list[psutil.Process]]:
    with start([*QUIETLY, *command], env, ready_url) as process:
        family = psutil.Process(process.pid)
        wait_until(lambda: family.cpu_percent(0.5) < 20, "the start to be over")
        yield [family, *family.children(recursive=True)]


def _run(command: list[str]) -> None:
    print(f"  installing: {' '.join(command[1:])}", file=sys.stderr)
    subprocess.run(command, check=True, capture_output=True, timeout=INSTALL_LIMIT_S)
