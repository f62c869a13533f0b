"""The `curl` command in the documentation."""

import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable

import pytest

from tests.support.processes import ROOT

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not shutil.which("curl"), reason="curl is NOT tested: it is missing"),
]


@pytest.fixture
def curl(product: str, key: str) -> Callable[..., str]:
    """Runs the documented command with further arguments and returns its output."""
    text = (ROOT / "docs" / "clients.md").read_text(encoding="utf-8")
    found = re.search(r"^curl -s .+?'\n", text, re.MULTILINE | re.DOTALL)
    assert found
    command = found[0].replace("http://localhost:8000", product).replace("aik_...", key).replace("\\\n", " ")

    def run(*arguments: str, **changes: object) -> str:
        *head, body = shlex.split(command)
        words = [*head, json.dumps({**json.loads(body), **changes}), "--noproxy", "*", *arguments]
        return subprocess.run(words, capture_output=True, text=True, timeout=60, check=True).stdout

    return run


def test_documented_command_is_answered(curl: Callable[..., str]) -> None:
    answer = json.loads(curl())
    assert answer["choices"][0]["message"]["content"]


def test_stream_ends_with_done(curl: Callable[..., str]) -> None:
    assert curl("-N", stream=True).endswith("data: [DONE]\n\n")


def test_error_is_readable_by_scripts(curl: Callable[..., str]) -> None:
    body, status = curl("-w", "\n%{http_code}", model="no-such-model").rsplit("\n", 1)
    assert (json.loads(body)["error"]["code"], status) == ("model_not_found", "404")
