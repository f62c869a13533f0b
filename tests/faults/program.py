"""A program of the product as a real process that tests can kill, stop, and restart."""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from tests.support.forked import Forked, begin
from tests.support.processes import wait_until

DRAIN_LIMIT_S = 90


class Program:
    """Runs in its own process group, so that killing the group kills its children and nothing else."""

    def __init__(self, name: str, argv: Sequence[str], env: Mapping[str, str], log: Path) -> None:
        self.name = name
        self.env = dict(env)
        self.argv = list(argv)
        self._log = log
        self._process: subprocess.Popen[bytes] | Forked | None = None
        self._orphans: list[psutil.Process] = []

    @property
    def pid(self) -> int:
        """The PID of the started process."""
        assert self._process, f"{self.name} was never started"
        return self._process.pid

    def start(self, **env: str) -> None:
        """Start or restart the program. `env` adds to its environment this time only."""
        if self._process:
            self._orphans += self.group()
        with self._log.open("ab") as log:
            environment = {**os.environ, **self.env, **env}
            self._process = begin(self.argv, environment, stdout=log, stderr=log, new_session=True)

    def children(self) -> list[psutil.Process]:
        """Its running child processes."""
        return [child for child in psutil.Process(self.pid).children() if child.status() != psutil.STATUS_ZOMBIE]

    def group(self) -> list[psutil.Process]:
        """All running processes of its group, including those without their parent."""
        return [process for process in psutil.process_iter() if _belongs(process, self.pid)]

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the started process only."""
        os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill the started process only."""
        assert self._process
        self._process.kill()
        self._process.wait()

    def kill_group(self) -> None:
        """Kill the started process and everything that it forked, including orphans of earlier starts."""
        if self._process is None:
            return
        for orphan in filter(psutil.Process.is_running, self._orphans):
            orphan.kill()
        self._orphans.clear()
        if self.group():
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
        wait_until(lambda: not self.group(), f"{self.name} to be gone")

    def stop(self) -> int:
        """Send SIGTERM. Returns the exit status. Kills processes that do not end in time."""
        self.send(signal.SIGTERM)
        return self.wait()

    def wait(self) -> int:
        """Wait for a stopping process to end. Returns the exit status. Kills processes that do not end in time."""
        assert self._process
        try:
            return self._process.wait(DRAIN_LIMIT_S)
        finally:
            self.kill_group()

    def is_running(self) -> bool:
        """Whether the started process is running."""
        return self._process is not None and self._process.poll() is None

    def log_tail(self) -> str:
        """The end of its log."""
        return self._log.read_text(errors="replace")[-4000:] if self._log.exists() else ""


def _belongs(process: psutil.Process, group: int) -> bool:
    try:
        return os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.NoSuchProcess, ProcessLookupError):
        return False
