"""What the supervisor tells about itself, also while it stops: its own interface refuses every question then.

A plug-in for supervisord, which loads it in its own process: it knows nothing of Django.
"""

import os
from typing import Any

from supervisor.states import SupervisorStates


class Inspection:
    """Its public methods can be called over supervisor's socket."""

    def __init__(self, supervisord: Any) -> None:
        self._supervisord = supervisord

    def look(self) -> dict[str, Any]:
        """The supervisor's process id, whether it is stopping, and the process id of each program that runs."""
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
