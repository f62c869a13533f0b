"""gunicorn's configuration of a server for `/metrics` alone: `gunicorn -c python:aiinfra.stack.metrics_server`."""

import os
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "aiinfra.settings")

from aiinfra.stack.address import bind_host

bind = f"{bind_host()}:9400"
wsgi_app = "aiinfra.monitoring.metrics.wsgi"
loglevel = "warning"
control_socket_disable = True


def on_starting(server: Any) -> None:  # noqa: ARG001 - gunicorn passes it
    """gunicorn's hook before it forks."""
    django.setup(set_prefix=False)
