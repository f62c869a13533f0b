"""Forks programs from a process that has already imported their modules; started by `tests.support.forked`.

Imports take most of the CPU time of a start. With `libraries`, programs load the settings and the product's code
themselves, so each can have its own environment. With `product`, they have the environment of this process.
"""

import gc
import json
import os
import runpy
import selectors
import signal
import socket
import sys
import threading
from contextlib import suppress
from importlib import import_module
from typing import Any

LIBRARIES = (
    "cryptography.fernet",
    "cryptography.x509",
    "django.contrib.admin.sites",
    "django.core.management",
    "django.db.backends.sqlite3.base",
    "django.test.client",
    "fido2.webauthn",
    "gunicorn.app.wsgiapp",
    "httpx2",
    "jwt",
    "numpy",
    "openai",
    "opentelemetry.sdk.trace.export",
    "prometheus_client",
    "psutil",
    "psycopg_pool",
    "redis.asyncio",
    "rq.worker_pool",
    "sqlparse",
    "whitenoise.middleware",
)
"""Modules that can be imported without settings."""
PRODUCT = (
    "aiinfra.stack.management.commands.scheduler",
    "aiinfra.urls",
    "queue_app.management.commands.worker",
)
ORDER_BYTES_MAX = 200_000
DESCRIPTORS = 4
"""Of an order: the report socket, and the program's input, output, and errors."""


class Server:
    """Forks a process for each order and reports its process ID and, later, its exit status."""

    def __init__(self, orders: socket.socket) -> None:
        self._selector = selectors.DefaultSelector()
        self._selector.register(orders, selectors.EVENT_READ)
        self._orders = orders
        self._reports: dict[int, tuple[int, socket.socket]] = {}

    def serve(self) -> dict[str, Any] | None:
        """Returns the order in each forked process, and None in this process when the order socket is closed."""
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is not self._orders:
                    self._report_end(key.fd)
                    continue
                message, descriptors, _, _ = socket.recv_fds(self._orders, ORDER_BYTES_MAX, DESCRIPTORS)
                if not message:
                    return None
                order: dict[str, Any] = json.loads(message)
                if self._fork(order, *descriptors):
                    return order

    def _fork(self, order: dict[str, Any], report_to: int, *standard: int) -> bool:
        """Fork a process for the order; returns whether this is the forked process."""
        report = socket.socket(fileno=report_to)
        if pid := os.fork():
            for each in standard:
                os.close(each)
            pidfd = os.pidfd_open(pid)
            self._reports[pidfd] = pid, report
            self._selector.register(pidfd, selectors.EVENT_READ)
            return False
        self._leave()
        for number, each in enumerate(standard):
            os.dup2(each, number)
            os.close(each)
        if order["new_session"]:
            os.setsid()
        with report:
            report.send(str(os.getpid()).encode())  # its process group is set now
        return True

    def _leave(self) -> None:
        """Close the server's files in the forked process."""
        self._selector.close()
        self._orders.close()
        for pidfd, (_, report) in self._reports.items():
            os.close(pidfd)
            report.close()

    def _report_end(self, pidfd: int) -> None:
        self._selector.unregister(pidfd)
        os.close(pidfd)
        pid, report = self._reports.pop(pidfd)
        _, status = os.waitpid(pid, 0)
        with report, suppress(BrokenPipeError):
            report.send(str(os.waitstatus_to_exitcode(status)).encode())


def load(what: str) -> None:
    """Import the modules and freeze the garbage collector, which would copy the objects it visits after a fork."""
    if what == "product":
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "aiinfra.settings")
        import_module("django").setup()
    for name in PRODUCT if what == "product" else LIBRARIES:
        import_module(name)
    gc.collect()
    gc.freeze()
    assert threading.active_count() == 1, "threads are lost in a fork"


def become(order: dict[str, Any]) -> None:
    """Run the program as a new interpreter would."""
    os.environ.clear()
    os.environ.update(order["environment"])
    option, *sys.argv = order["arguments"]
    if option == "-m":
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    else:
        sys.argv.insert(0, option)
        runpy.run_path(option, run_name="__main__")


if __name__ == "__main__":
    load(sys.argv[1])
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # ignored if the tests run under nohup
    if order := Server(socket.socket(fileno=os.dup(0))).serve():
        become(order)
