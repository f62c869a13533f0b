"""The sandbox's book of billed calls."""

import json
import uuid
from pathlib import Path

import httpx2
import pytest

from tests.providers.conftest import SandboxClient, sandbox_command
from tests.providers.sandbox_calls import CHAT, question
from tests.support.processes import free_port, start


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("DELETE", "/sandbox/book", 405),
        ("POST", "/sandbox/book", 405),
        ("GET", CHAT, 405),
        ("PUT", "/sandbox/behaviour", 405),
        ("GET", "/nowhere", 404),
    ],
)
def test_book_cannot_be_changed_by_clients(sandbox: SandboxClient, method: str, path: str, status: int) -> None:
    assert httpx2.request(method, f"{sandbox.url}{path}", timeout=60, trust_env=False).status_code == status


def test_page_names_the_sandbox_and_escapes_the_last_calls(sandbox: SandboxClient) -> None:
    sandbox.post(CHAT, question(model="<script>"))
    page = httpx2.get(f"{sandbox.url}/", timeout=60, trust_env=False)
    assert page.headers["content-type"].startswith("text/html")
    assert "This is a sandbox" in page.text
    assert "&lt;script&gt;" in page.text
    assert "<script>" not in page.text


def test_book_survives_a_kill_and_a_truncated_last_line(tmp_path: Path) -> None:
    book, port, attempt_id = tmp_path / "deep" / "book.jsonl", free_port(), str(uuid.uuid4())
    client = SandboxClient(f"http://127.0.0.1:{port}")
    with start(sandbox_command(port), {"SANDBOX_BOOK": str(book)}, f"{client.url}/") as process:
        client.post(CHAT, question(), **{"x-attempt-id": attempt_id})
        process.kill()
    with book.open("a") as file:
        file.write('{"attemptId": "torn')
    with start(sandbox_command(port), {"SANDBOX_BOOK": str(book)}, f"{client.url}/"):
        client.post(CHAT, question())
        assert [row["attemptId"] for row in client.get("/sandbox/book")] == [attempt_id, None]
        assert client.get(f"/sandbox/calls/{attempt_id}")["state"] == "billed"
        assert client.get(f"/sandbox/calls/{uuid.uuid4()}") == {"state": "unknown", "usage": None}
    assert len([json.loads(line) for line in book.read_text().splitlines()]) == 2
