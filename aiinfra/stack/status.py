"""The status of the product on this machine."""

from dataclasses import asdict, dataclass
from typing import Any

import psutil
from django.conf import settings

from aiinfra.stack import control
from aiinfra.stack.addresses import of_running

KINDS = {"redis": "redis", "sandbox": "sandbox", "scheduler": "scheduler", "workers": "worker", "web": "web"}


@dataclass(frozen=True)
class RunningProcess:
    """A program under the supervisor, or a child of one, named after it: `workers`, `workers-1`, `workers-2`."""

    name: str
    pid: int
    kind: str


@dataclass(frozen=True)
class Status:
    """Addresses and processes. `redis` may contain a password: programs connect with it.

    `state` is running or stopping; while stopping, `processes` are those that have not ended yet.
    """

    state: str
    web: str
    sandbox: str | None
    redis: str
    database: str
    processes: list[RunningProcess]

    def as_dict(self) -> dict[str, Any]:
        """The status for JSON."""
        return asdict(self)


def status() -> Status:
    """The current status. Raises control.ControlError."""
    supervisor = control.find_supervisor(settings.DATA_DIR)
    running = supervisor.programs
    processes = [process for name in KINDS if name in running for process in _family(name, running[name])]
    state = "stopping" if supervisor.is_stopping else "running"
    return Status(state, **asdict(of_running()), processes=processes)


def _family(name: str, pid: int) -> list[RunningProcess]:
    kind = KINDS[name]
    children = [RunningProcess(f"{name}-{n}", child, kind) for n, child in enumerate(_children(pid), start=1)]
    return [RunningProcess(name, pid, kind), *children]


def _children(pid: int) -> list[int]:
    try:
        return [child.pid for child in psutil.Process(pid).children()]
    except psutil.NoSuchProcess:
        return []
