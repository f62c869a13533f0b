"""Two web hosts behind HAProxy are restarted in turn: no client sees an error, and none retries."""

import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2
import pytest

from tests.faults.audit import assert_sound
from tests.faults.databases import fresh_postgres, postgres_template
from tests.faults.program import Program
from tests.faults.stack import CLIENT_TIMEOUT_S, Stack
from tests.hosts.load import CHAT, END, Load
from tests.hosts.second_host import SecondHost
from tests.support.processes import ROOT, answers, free_port, wait_until

PACE = {"WEB_LAME_DUCK_S": "10", "WEB_DRAIN_S": "60"}
"""The lame-duck time is long enough for HAProxy to notice, even on a busy machine."""
LONG, LONG_S = "A question with a long answer", 15
"""Longer than servers usually wait."""
CALL_MS = 800
BEFORE, AFTER = 2, 3


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with fresh_postgres(postgres_template()) as database:
        running = Stack(tmp_path_factory.mktemp("a"), database)
        running.web.env.update(PACE)
        try:
            running.prepare()
            running.revive()
            yield running
        finally:
            running.shut_down()


@pytest.fixture(scope="module")
def other(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecondHost]:
    host = SecondHost(stack, tmp_path_factory.mktemp("b"), **PACE)
    try:
        host.start()
        yield host
    finally:
        host.shut_down()


@pytest.fixture(scope="module")
def proxy(stack: Stack, other: SecondHost, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of an HAProxy with the configuration in `deploy/`, without TLS."""
    binary = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin")
    if binary is None:
        pytest.fail("this test needs HAProxy: apt-get install haproxy")
    directory, port = tmp_path_factory.mktemp("haproxy"), free_port()
    text = (ROOT / "deploy/haproxy/haproxy.cfg").read_text(encoding="utf-8")
    text = re.sub(r"bind :443 .*", f"bind 127.0.0.1:{port}", text)
    text = re.sub(r"timeout check .*", f"timeout check {CLIENT_TIMEOUT_S}s", text)  # a busy host is not down
    text = text.replace("10.0.0.1:8000", stack.url.removeprefix("http://"))
    text = text.replace("10.0.0.2:8000", other.url.removeprefix("http://"))
    file = directory / "haproxy.cfg"
    file.write_text(text, encoding="utf-8")
    program = Program("haproxy", [binary, "-db", "-f", str(file)], {}, directory / "haproxy.log")
    program.start()
    try:
        wait_until(lambda: answers(f"http://127.0.0.1:{port}/readyz"), "HAProxy")
        yield f"http://127.0.0.1:{port}"
    finally:
        program.kill_group()


@contextmanager
def long_stream(stack: Stack, url: str) -> Iterator[httpx2.Response]:
    """A started stream, which the sandbox holds in the middle for `LONG_S` seconds."""
    body = {**CHAT, "messages": [{"role": "user", "content": LONG}], "stream": True}
    headers = {"Authorization": f"Bearer {stack.keys['north']}", "x-aiinfra-cache": "bypass"}
    with stack.http.stream("POST", f"{url}/v1/chat/completions", json=body, headers=headers) as answer:
        (attempt,) = stack.attempts(answer.headers["x-aiinfra-request-id"])
        threading.Timer(LONG_S, stack.release_call, [attempt["id"]]).start()
        yield answer


def test_no_request_fails_while_both_hosts_restart(stack: Stack, other: SecondHost, proxy: str) -> None:
    stack.behave(latencyMs=CALL_MS, faults=[{"kind": "stream_hold", "contains": LONG}])
    with Load(stack, proxy) as load:
        for web, url in ((stack.web, stack.url), (other.web, other.url)):
            load.wait_for_more(BEFORE)
            with long_stream(stack, url) as answer:
                assert web.stop() == 0
                assert END in answer.read().decode()
            load.wait_for_more(AFTER)
            web.start()
            wait_until(lambda url=url: answers(f"{url}/readyz"), "the restarted host")  # type: ignore[misc]
            load.wait_for_more(AFTER)
    assert load.failures == []
    stack.behave()
    assert set(assert_sound(stack, load.accepted).values()) == {"completed"}
