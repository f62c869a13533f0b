"""gunicorn's configuration. `aiinfra.stack.web` serves the connections of each process."""

import gc
import importlib
import os
from pathlib import Path
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "aiinfra.settings")

from django.conf import settings

from aiinfra.stack.address import bind_host
from aiinfra.tracing import spans

END_S = 5
"""Time after the drain in which a process stores what it can and exits, before gunicorn kills it."""

gc.set_threshold(20_000)  # as in manage.py

bind = f"{bind_host()}:{settings.PORT}"
workers = settings.WEB_PROCESSES
threads = settings.WEB_THREADS
worker_class = "aiinfra.stack.web.worker.BufferingWorker"
preload_app = True
graceful_timeout = settings.WEB_LAME_DUCK_S + settings.WEB_DRAIN_S + END_S
loglevel = "warning"
control_socket_disable = True
# Each process proves that it is alive by touching a file; on a busy disk the processes would look dead.
if Path("/dev/shm").is_dir():  # noqa: S108 - gunicorn makes an anonymous file there
    worker_tmp_dir = "/dev/shm"  # noqa: S108


def when_ready(server: Any) -> None:  # noqa: ARG001 - gunicorn passes it
    """gunicorn's hook before the processes are forked: load what each would load, and share it.

    The garbage collector writes to every object that it visits, so a process gets a copy of each page; frozen objects
    are not visited.
    """
    importlib.import_module(settings.ROOT_URLCONF)
    spans.preload()
    gc.collect()
    gc.freeze()


def post_worker_init(worker: Any) -> None:
    """gunicorn's hook in each new process: live events end on SIGTERM, so that they do not delay the shutdown."""
    from aiinfra import web_stopping

    web_stopping.watch(lambda: not worker.alive)
