"""A second host of a running product: web server, workers, and scheduler on the same database and Redis."""

import sys
from pathlib import Path
from typing import Any

import httpx2

from tests.faults.program import Program
from tests.faults.stack import CLIENT_TIMEOUT_S, GUNICORN, MANAGE, Stack, order
from tests.support.processes import ROOT, answers, free_port, wait_until


class SecondHost:
    """Has the first host's settings with another data directory and port, and the changes in `settings`.

    It runs the code in `root`.
    """

    def __init__(self, stack: Stack, directory: Path, root: Path = ROOT, **settings: str) -> None:
        self._stack = stack
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.env = {
            **stack.env,
            "AIINFRA_DATA_DIR": str(directory),
            "PORT": str(port),
            "SECRET_KEY": (stack.directory / "secret_key").read_text().strip(),
            "API_KEY_PEPPER": (stack.directory / "api_key_pepper").read_text().strip(),
            **settings,
        }
        manage, web = MANAGE, GUNICORN
        if root != ROOT:
            # -P: import from PYTHONPATH, not from the directory in which the tests run.
            manage, web = [sys.executable, str(root / "manage.py")], [sys.executable, "-P", *GUNICORN[1:]]
            web += ["--chdir", str(root)]
            self.env["PYTHONPATH"] = str(root)
        self.workers = Program("workers-b", [*manage, "worker"], self.env, directory / "workers.log")
        self.scheduler = Program("scheduler-b", [*manage, "scheduler"], self.env, directory / "scheduler.log")
        self.web = Program("web-b", web, self.env, directory / "web.log")
        self.programs = [self.workers, self.scheduler, self.web]

    def start(self) -> None:
        """Start the programs and wait until they are ready."""
        for program in self.programs:
            program.start()
        wait_until(lambda: answers(f"{self.url}/healthz"), "the web server of the second host")
        wait_until(lambda: self.worker_pids() <= set(self._stack.worker_pids().values()), "the second host's workers")

    def worker_pids(self) -> set[int]:
        """The worker processes, or an invalid PID until they have started."""
        return {process.pid for process in self.workers.children()} or {-1}

    def shut_down(self) -> None:
        """Kill all processes."""
        for program in self.programs:
            program.kill_group()

    def enqueue(self, text: str, **options: Any) -> str:
        """Enqueue a request on this host. Returns its ID."""
        headers = {"Authorization": f"Bearer {self._stack.keys['north']}"}
        answer = httpx2.post(
            f"{self.url}/api/ai/queue",
            json=order(text, **options),
            headers=headers,
            trust_env=False,
            timeout=CLIENT_TIMEOUT_S,
        )
        assert answer.status_code == 202, answer.text
        return str(answer.json()["requestId"])
