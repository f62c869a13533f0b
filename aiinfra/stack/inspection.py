"""Reports the supervisor's state even while it is stopping, when its own interface rejects all requests.

A supervisord plug-in, loaded in supervisord's process: it cannot use Django.
"""

import os
from typing import Any

from supervisor.states import SupervisorStates


class Inspection:
    """Its public methods can be called over supervisor's socket."""

    def __init__(self, supervisord: Any) -> None:
        self._supervisord = supervisord

    def look(self) -> dict[str, Any]:
        """The supervisor's process ID, whether it is stopping, and the process ID of each running program."""
        groups = self._supervisord.process_groups.values()
        processes = [process for group in groups for process in group.processes.values()]
        return {
            "pid": os.getpid(),
            "is_stopping": self._supervisord.options.mood < SupervisorStates.RUNNING,
            "programs": {process.config.name: process.pid for process in processes if process.pid},
        }


def attach(supervisord: Any) -> Inspection:
    """supervisor's hook for plug-ins."""
    return Inspection(supervisord)
