"""Two hosts on empty servers, set up with the commands in `docs/running.md` under "Several hosts"."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx2
import pytest

from tests.faults.databases import Postgres
from tests.faults.program import Program
from tests.faults.stack import CLIENT_TIMEOUT_S, MANAGE
from tests.support.processes import ROOT, answers, free_port, wait_until

COMMAND = re.compile(r"`((?:\.venv/bin/|manage\.py )[^`]+)`")
SHARED = {"SECRET_KEY": "s" * 50, "API_KEY_PEPPER": "p" * 50, "WEB_PROCESSES": "1", "WORKER_PROCESSES": "1"}


def documented() -> list[list[str]]:
    """The commands of a host: the release, then the programs that its supervisor runs."""
    page = (ROOT / "docs/running.md").read_text(encoding="utf-8")
    section = page.split("\n## Several hosts\n")[1].split("\n### ")[0]
    return [_with_our_python(each) for each in dict.fromkeys(COMMAND.findall(section))]


def _with_our_python(command: str) -> list[str]:
    program, *arguments = command.split()
    if program == "manage.py":
        return [*MANAGE, *arguments]
    return [str(Path(sys.executable).with_name(Path(program).name)), *arguments]


@pytest.fixture(scope="module")
def hosts(
    database: Postgres, redis_server: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[dict[str, str]]]:
    """The settings of both hosts, while all documented programs run."""
    release, *served = documented()
    sandbox_port = str(free_port())
    shared = {
        **SHARED,
        "DATABASE_URL": database.url,
        "REDIS_URL": redis_server,
        "SANDBOX_URL": f"http://127.0.0.1:{sandbox_port}",
    }
    directories = [tmp_path_factory.mktemp(name) for name in ("host-a", "host-b")]
    settings = [{**shared, "AIINFRA_DATA_DIR": str(each), "PORT": str(free_port())} for each in directories]
    releases = [subprocess.Popen(release, cwd=ROOT, env={**os.environ, **each}) for each in settings]
    assert [each.wait() for each in releases] == [0, 0]
    sandbox = [sys.executable, "-m", "aiinfra.providers.sandbox", "--port", sandbox_port]
    programs = [Program("sandbox", sandbox, settings[0], directories[0] / "sandbox.log")]
    for each, directory in zip(settings, directories, strict=True):
        programs += [Program(argv[-1], argv, each, directory / f"{argv[-1]}.log") for argv in served]
    with ExitStack() as running:
        for program in programs:
            running.callback(program.kill_group)
            program.start()
        for each in settings:
            wait_until(lambda port=each["PORT"]: answers(f"http://127.0.0.1:{port}/readyz"), "a host")
        yield settings


@pytest.fixture(scope="module")
def key(hosts: list[dict[str, str]]) -> str:
    """An API key of an organization created on the first host."""

    def manage(*arguments: str) -> str:
        return subprocess.run(
            [*MANAGE, *arguments], cwd=ROOT, env={**os.environ, **hosts[0]}, check=True, capture_output=True, text=True
        ).stdout

    manage("createorg", "north")
    return manage("createapikey", "north", "--name", "hosts", "--role", "owner").split()[-1]


def test_documentation_names_all_programs_of_a_host() -> None:
    assert [argv[-1] for argv in documented()] == ["release", "aiinfra.wsgi", "worker", "scheduler"]


def test_pages_have_their_static_files(hosts: list[dict[str, str]]) -> None:
    for each in hosts:
        with httpx2.Client(
            base_url=f"http://127.0.0.1:{each['PORT']}", trust_env=False, timeout=CLIENT_TIMEOUT_S
        ) as http:
            page = http.get("/login/").raise_for_status().text
            files = re.findall(r'(?:href|src)="(/static/[^"]+)"', page)
            assert files
            for path in files:
                http.get(path).raise_for_status()


def test_every_priced_model_is_answered(hosts: list[dict[str, str]], key: str, database: Postgres) -> None:
    headers = {"Authorization": f"Bearer {key}"}
    with httpx2.Client(headers=headers, trust_env=False, timeout=CLIENT_TIMEOUT_S) as http:
        urls = [f"http://127.0.0.1:{each['PORT']}" for each in hosts]
        models = [each["id"] for each in http.get(f"{urls[0]}/v1/models").raise_for_status().json()["data"]]
        chats = [model for model in models if "embedding" not in model]
        assert chats
        for number, model in enumerate(chats):
            body = {"model": model, "max_tokens": 10, "messages": [{"role": "user", "content": "Hello"}]}
            answer = http.post(f"{urls[number % 2]}/v1/chat/completions", json=body)
            assert answer.status_code == 200, (model, answer.text)
    completed = "SELECT count(*) FROM queue_app_airequest WHERE status = 'completed'"
    assert database.rows(completed) == [(len(chats),)]
