"""Attacks on a freshly started product, by local users and over the network."""

import json
import re
import socket
import sqlite3
import stat
import subprocess
from collections.abc import Iterator
from contextlib import closing
from urllib.parse import quote

import httpx2
import pytest
from django.db import connection

from tests.support.product import Run

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.skipif(connection.vendor != "sqlite", reason="starts its own SQLite, so one run is enough"),
]

QUESTION = "How do I reset my password in the customer portal if the email with the link does not arrive"
LARGE = 150 * 1024 * 1024
CANARY = "canary-7f3a91"
MESSAGES = [{"role": "user", "content": "Hi"}]


@pytest.fixture
def run(product: Run) -> Run:
    return product


@pytest.fixture
def web(run: Run) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=f"http://127.0.0.1:{run.port}", trust_env=False, timeout=60) as client:
        yield client


@pytest.fixture
def program(run: Run, web: httpx2.Client) -> httpx2.Client:
    """A client with the demo API key."""
    key = (run.data_dir / "demo_api_key").read_text(encoding="utf-8").strip()
    web.headers["Authorization"] = f"Bearer {key}"
    return web


def log_in(web: httpx2.Client, path: str, name: str, password: str) -> httpx2.Response:
    page = web.get(path, follow_redirects=True).text
    token = re.findall(r'csrfmiddlewaretoken" value="([^"]+)', page)[0]
    form = {"csrfmiddlewaretoken": token, "username": name, "password": password, "next": "/"}
    return web.post(path, data=form, headers={"Referer": str(web.base_url)}, follow_redirects=False)


def test_files_are_not_readable_by_other_local_users(run: Run) -> None:
    paths = [run.data_dir, *run.data_dir.rglob("*")]
    assert len(paths) > 20
    assert [
        str(path) for path in paths if not path.is_socket() and path.lstat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)
    ] == []


def test_redis_requires_its_password(run: Run) -> None:
    with socket.create_connection(("127.0.0.1", run.port + 1), 60) as redis:
        redis.sendall(b"PING\r\n")
        assert redis.recv(100).startswith(b"-NOAUTH")


def test_fresh_installation_has_no_administrator_and_no_known_password(run: Run, web: httpx2.Client) -> None:
    with closing(sqlite3.connect(run.data_dir / "aiinfra.sqlite3")) as database:
        assert database.execute("SELECT COUNT(*) FROM tenants_user WHERE is_superuser OR is_staff").fetchone() == (0,)
    password = (run.data_dir / "demo_password").read_text(encoding="utf-8").strip()
    assert password not in web.get("/login/").text
    assert log_in(web, "/login/", "owner@demo", "demo-password").status_code == 422
    assert log_in(web, "/login/", "owner@demo", password).status_code == 302


@pytest.mark.parametrize("path", ["/login/", "/admin/login/"])
def test_guesses_are_limited_across_spellings_of_a_name(web: httpx2.Client, path: str) -> None:
    name = f"finance@demo{path.count('/')}"
    statuses = [log_in(web, path, name + " " * blanks, "wrong").status_code for blanks in range(12)]
    assert statuses[-2:] == [429, 429]


@pytest.mark.parametrize("path", ["/login/", "/nothing-here/", "/api/ai/chat"])
def test_large_body_is_rejected_before_it_is_sent(run: Run, path: str) -> None:
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: multipart/form-data; boundary=b\r\n"
    with socket.create_connection(("127.0.0.1", run.port), 60) as client:
        client.sendall(f"{head}Content-Length: {LARGE}\r\n\r\n--b\r\n".encode())
        assert b" 413 " in client.recv(100)


def test_idle_clients_do_not_block_the_health_check(run: Run, web: httpx2.Client) -> None:
    clients = [socket.create_connection(("127.0.0.1", run.port), 60) for _ in range(200)]
    for client in clients:
        client.sendall(b"POST /api/ai/chat HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 500\r\n")
    assert [web.get("/healthz").status_code for _ in range(5)] == [200] * 5
    for client in clients:
        client.close()


def test_stored_question_does_not_break_lookups_of_others(program: httpx2.Client) -> None:
    call = {"provider": "deepseek", "model": "deepseek-chat"}
    stored = {
        "action": "store",
        "messages": [{"role": "user", "content": f"{QUESTION} {'hundred ' * 156}"}],
        "response": {"role": "assistant", "content": "a", "finishReason": "stop"},
    }
    assert program.post("/api/ai/cache", json={**call, **stored}).status_code == 201
    lookup = {"action": "lookup", "messages": [{"role": "user", "content": QUESTION}]}
    assert program.post("/api/ai/cache", json={**call, **lookup}).status_code == 200


def test_invalid_keys_are_rate_limited(web: httpx2.Client) -> None:
    statuses = [web.get("/api/ai/queue", headers={"Authorization": "Bearer wrong"}).status_code for _ in range(80)]
    assert set(statuses) == {401, 429}


def test_session_cannot_name_another_user(run: Run, web: httpx2.Client) -> None:
    password = (run.data_dir / "demo_password").read_text(encoding="utf-8").strip()
    assert log_in(web, "/login/", "operator@demo", password).status_code == 302
    body = {
        "provider": "deepseek",
        "model": "deepseek-chat",
        "messages": [{"role": "user", "content": "Hi"}],
        "userId": "finance@demo",
    }
    headers = {"X-CSRFToken": web.cookies["csrftoken"], "Referer": str(web.base_url)}
    answer = web.post("/api/ai/queue", json=body, headers=headers)
    assert answer.status_code == 403, answer.text
    assert "userId" in json.dumps(answer.json())


SESSION_ENDPOINTS: list[tuple[str, dict[str, object]]] = [
    ("/v1/chat/completions", {"messages": MESSAGES, "user": "finance@demo", "safety_identifier": "finance@demo"}),
    ("/v1/responses", {"input": "Hi", "user": "finance@demo", "safety_identifier": "finance@demo"}),
    ("/v1/messages", {"messages": MESSAGES, "max_tokens": 5, "metadata": {"user_id": "finance@demo"}}),
]


def test_session_cannot_name_another_user_in_vendor_formats(run: Run, web: httpx2.Client) -> None:
    password = (run.data_dir / "demo_password").read_text(encoding="utf-8").strip()
    assert log_in(web, "/login/", "admin@demo", password).status_code == 302
    headers = {"X-CSRFToken": web.cookies["csrftoken"], "Referer": str(web.base_url)}
    for endpoint, body in SESSION_ENDPOINTS:
        answer = web.post(endpoint, json={"model": "deepseek-chat", **body}, headers=headers)
        assert answer.status_code == 200, endpoint
    with closing(sqlite3.connect(run.data_dir / "aiinfra.sqlite3")) as database:
        users = {user for (user,) in database.execute("SELECT DISTINCT user_ref FROM queue_app_airequest")}
    assert "admin@demo" in users
    assert "finance@demo" not in users


def test_logs_have_one_line_per_event_and_no_secrets(run: Run, web: httpx2.Client) -> None:
    forged = 'x\r\n{"level": "critical"}\x1b[31m\u2028'
    key = (run.data_dir / "demo_api_key").read_text(encoding="utf-8").strip()
    log_in(web, "/login/", forged, CANARY)
    for path in (
        f"/queue/{quote(forged)}",
        f"/invitations/{CANARY}/",
        f"/INVITATIONS/{CANARY}",
        f"/nope/?token={CANARY}",
    ):
        web.get(path)
    body = {"model": "deepseek-chat", "max_tokens": 5, "messages": [{"role": "user", "content": CANARY}]}
    headers = {"Authorization": f"Bearer {key}", "X-Api-Key": key}
    for endpoint in ("/api/ai/chat", "/api/ai/queue", "/v1/chat/completions", "/v1/messages"):
        for wrong in (body, {**body, "max_tokens": "x"}, {**body, "model": "unknown"}):
            assert web.post(endpoint, json=wrong, headers=headers).status_code != 500
    found = b"".join(path.read_bytes() for path in (run.data_dir / "log").iterdir())
    assert found.count(b"\n") > 20
    assert not re.search(rb"[\x1b\r]|^x$|^{\"level\": \"critical\"}", found, re.MULTILINE)
    assert CANARY.encode() not in found
    secret = key.split("_")[2].encode()
    assert [path.name for path in (run.data_dir / "log").iterdir() if secret in path.read_bytes()] in (
        [],
        ["banner.log"],
    )


def test_ledger_and_logs_cannot_be_rewritten(run: Run) -> None:
    with closing(sqlite3.connect(run.data_dir / "aiinfra.sqlite3", timeout=60)) as database:
        for table in ("cost_app_ledgerentry", "tenants_auditevent", "security_log_securityevent"):
            with pytest.raises(sqlite3.DatabaseError, match="append-only"):
                database.execute(f"INSERT OR REPLACE INTO {table} SELECT * FROM {table} LIMIT 1")  # noqa: S608


def test_audit_verification_and_doctor_succeed_on_a_fresh_installation(run: Run) -> None:
    for command in (("audit", "--verify"), ("doctor",)):
        finished: subprocess.CompletedProcess[str] = run.command(*command)
        assert finished.returncode == 0, finished.stdout + finished.stderr
