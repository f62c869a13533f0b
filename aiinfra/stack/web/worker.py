"""gunicorn's worker class: a web process with one event loop, and threads for complete requests."""

import os
import resource
import time
from typing import Any

from django.conf import settings
from gunicorn.workers.base import Worker

from aiinfra.gateway import waiting_threads
from aiinfra.stack.web.limits import connections_limit
from aiinfra.stack.web.server import WebServer, turn
from aiinfra.stack.web.threads import Threads
from aiinfra.tracing import spans

TURN_S = 1.0


class BufferingWorker(Worker):
    """Restarts, reloads, and settings are gunicorn's; connections are waitress's."""

    def run(self) -> None:
        """Serve until SIGTERM, or until the arbiter is gone."""
        _allow_many_files()
        threads = Threads(self.cfg.threads)
        waiting_threads.replace_with(threads.replaced)
        loop: dict[int, Any] = {}
        servers = [WebServer(self.wsgi, each.sock, threads, loop, connections_limit) for each in self.sockets]
        loop[self.PIPE[0]] = _Wakeup(self.PIPE[0])
        while self.alive and self.ppid == os.getppid():
            self.notify()
            turn(loop, TURN_S)
        self._stay_for_a_while(loop)
        self._drain(servers, loop)
        spans.stop()

    def _stay_for_a_while(self, loop: dict[int, Any]) -> None:
        """Keep serving, with `/readyz` returning 503, until load balancers have noticed."""
        end = time.monotonic() + settings.WEB_LAME_DUCK_S
        while time.monotonic() < end and self.ppid == os.getppid():
            self.notify()
            turn(loop, 0.1)

    def _drain(self, servers: list[WebServer], loop: dict[int, Any]) -> None:
        """Finish the requests that have arrived, within `WEB_DRAIN_S`."""
        for each in servers:
            each.stop_accepting()
        end = time.monotonic() + settings.WEB_DRAIN_S
        while time.monotonic() < end and not all(each.is_drained() for each in servers):
            self.notify()
            turn(loop, 0.1)


class _Wakeup:
    """Lets a signal end the event loop's pause: Python writes a byte to this pipe for each signal."""

    accepting = False

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return False

    def handle_read_event(self) -> None:
        os.read(self._pipe, 4096)


def _allow_many_files() -> None:
    """Each connection is a file."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
