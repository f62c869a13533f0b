"""supervisor's output on the terminal: each program's lines, prefixed with its name.

A supervisord plug-in, loaded in supervisord's process: it cannot use Django.
"""

import contextlib
import signal
import sys
from types import FrameType
from typing import Any

from supervisor import events

PLAIN = "banner"
NAME_WIDTH = 9


class Terminal:
    """Prints whole lines as they arrive, and reports programs that end."""

    def __init__(self) -> None:
        self._begun: dict[str, str] = {}

    def show_output(self, event: Any) -> None:
        """Print the lines that this piece of output completes."""
        name = event.process.config.name
        text = self._begun.pop(name, "") + event.data.decode(errors="replace")
        *lines, rest = text.split("\n")
        if rest:
            self._begun[name] = rest
        for line in lines:
            _print(line if name == PLAIN else f"{name:<{NAME_WIDTH}} | {line}")

    def show_end(self, event: Any) -> None:
        """Report that a program exited unexpectedly."""
        name = event.process.config.name
        self._begun.pop(name, None)
        if name != PLAIN:
            _print(f"{name:<{NAME_WIDTH}} * exited unexpectedly; restarting")


def attach(_supervisord: object) -> object:
    """supervisor's hook for plug-ins; it exposes no methods."""
    terminal = Terminal()
    events.subscribe(events.ProcessLogEvent, terminal.show_output)
    for ended in (events.ProcessStateExitedEvent, events.ProcessStateBackoffEvent):
        events.subscribe(ended, terminal.show_end)
    events.subscribe(events.SupervisorStoppingEvent, _say_stopping)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        events.subscribe(events.SupervisorRunningEvent, _stop_with_the_terminal)
    return object()


def _say_stopping(_event: object) -> None:
    _print("Stopping. Provider calls in progress finish first ...")


def _stop_with_the_terminal(_event: object) -> None:
    """supervisor restarts everything when its terminal is closed; a product without a terminal should stop instead."""
    receive: Any = signal.getsignal(signal.SIGTERM)

    def receive_as_stop(_signum: int, frame: FrameType | None) -> None:
        receive(signal.SIGTERM, frame)

    signal.signal(signal.SIGHUP, receive_as_stop)


def _print(line: str) -> None:
    """Ignore a closed terminal, so that stopping can finish."""
    with contextlib.suppress(OSError):
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
