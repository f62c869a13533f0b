"""OpenAI's SDK for Node with only its base URL and key changed.

The test installs the SDK if Node, npm, and npm's registry are available. If not, this file is skipped with the
reason, and only `test_recorded.py` sends the SDK's requests.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aiinfra.gateway import chat
from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope, system_scope
from cost_app.models import Attempt, Budget
from tests.clients.conftest import full_room
from tests.clients.test_streams import state_of
from tests.providers.conftest import SandboxClient
from tests.support.processes import wait_until

pytestmark = pytest.mark.django_db(transaction=True)
SDK = "openai@6.49.0"
PROGRAM = Path(__file__).with_name("node_sdk.mjs")
LIMIT_S = 60
RETRIES = 2
"""The SDK's default."""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program, copied to where Node finds the installed SDK."""
    npm, directory = shutil.which("npm"), tmp_path_factory.mktemp("node")
    if not npm or not shutil.which("node"):
        pytest.skip("OpenAI's SDK for Node is NOT tested: node and npm are missing")
    quick = ("--no-audit", "--no-fund", "--ignore-scripts", "--prefer-offline", "--fetch-retries=0")
    command = [npm, "install", "--prefix", str(directory), *quick, f"--fetch-timeout={LIMIT_S * 500}", SDK]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip("OpenAI's SDK for Node is NOT tested: npm took too long")
    if done.returncode:
        pytest.skip(f"OpenAI's SDK for Node is NOT tested: npm cannot install it: {done.stderr[-300:]}")
    return Path(shutil.copy(PROGRAM, directory))


@pytest.fixture
def node(program: Path, product: str, key: str) -> Callable[[str], Any]:
    """Runs one of the program's tasks and returns its output."""

    def run(task: str) -> Any:
        environment = {"PATH": os.environ["PATH"], "BASE_URL": product, "API_KEY": key}
        command = ["node", str(program), task]
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False, env=environment)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


def test_every_kind_of_call_is_answered(node: Callable[[str], Any]) -> None:
    seen = node("answers")
    assert seen["chat"]["text"] and seen["chat"]["tokens"] > 0 and float(seen["chat"]["cost"]) > 0
    assert seen["stream"] == {"text": seen["chat"]["text"], "reason": "stop"}
    assert (seen["parts"], seen["embeddings"]) == ("chat.completion", [1536, 1536])
    assert seen["responses"]["whole"] == seen["responses"]["streamed"]
    assert {"gpt-4", "text-embedding-3-small"} <= set(seen["models"])


@pytest.mark.parametrize("kind", ["stream_error", "stream_reset", "stream_malformed", "stream_end"])
def test_fault_during_a_stream_raises_an_error_without_retry(
    node: Callable[[str], Any], sandbox: SandboxClient, kind: str
) -> None:
    sandbox.behave(faults=[{"kind": kind}]).raise_for_status()
    seen = node("broken")
    assert seen.pop("code")
    assert seen == {"began": True, "isApiError": True, "requests": 0}


@pytest.mark.parametrize("kind", ["stream_error", "stream_reset", "stream_malformed", "stream_end"])
def test_failed_response_reports_its_error(node: Callable[[str], Any], sandbox: SandboxClient, kind: str) -> None:
    sandbox.behave(faults=[{"kind": kind}]).raise_for_status()
    assert node("brokenResponse") == {"last": "response.failed", "says": True, "gaps": False, "requests": 0}


def test_disconnecting_from_a_stream_is_billed_for_its_usage(
    node: Callable[[str], Any], sandbox: SandboxClient
) -> None:
    sandbox.behave(faults=[{"kind": "stream_hold"}]).raise_for_status()
    assert node("hangUp") == {"aborted": True, "began": True, "requests": 1}
    assert_booked_as_billed_once_released(sandbox)


def assert_booked_as_billed_once_released(sandbox: SandboxClient) -> None:
    """Release the held answer, and check that the only call is booked with its usage."""
    with system_scope():
        attempt = Attempt.objects.get()
    wait_until(lambda: sandbox.post(f"/sandbox/calls/{attempt.id}/release", {}).status_code == 200, "the held answer")
    wait_until(lambda: state_of(attempt) == "settled", "the call to be booked")
    [row] = sandbox.bills(attempt.id)
    attempt.refresh_from_db()
    assert (attempt.input_tokens, attempt.output_tokens) == (row["usage"]["input"], row["usage"]["output"])


def test_only_retryable_errors_are_retried(
    node: Callable[[str], Any], organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert node("conflict") == {"status": 409, "code": "idempotency_conflict", "requests": 1}
    with monkeypatch.context() as patched:
        patched.setattr(chat, "waiting_room", full_room(organization))
        patched.setattr(chat, "RETRY_AFTER_FULL_S", "0.01")
        expected = {"status": 429, "code": "too_many_waiting", "requests": 1 + RETRIES}
        assert node("failure") == expected
    with organization_scope(organization.pk):
        Budget.objects.create(organization=organization, period="monthly", limit_nano=1, enforcement="block")
    assert node("failure") == {"status": 402, "code": "budget_exceeded", "requests": 1}
