"""Prepares everything for the supervisor, then becomes it."""

import contextlib
import errno
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from django.conf import settings
from django.core.management import call_command
from django.db import OperationalError, connections

from aiinfra import epochs
from aiinfra.configuration.running import CONFIGURATION
from aiinfra.stack import addresses, bundled_redis, control, private_files, programs
from aiinfra.stack.address import bind_host
from aiinfra.stack.release import DatabaseUnreachableError, release
from aiinfra.tenants import demo, demo_rules
from aiinfra.tenants.models import Organization


class CannotStartError(Exception):
    """The product cannot start; the message says why, and what to do."""


def prepare(say: Callable[[str], object]) -> None:
    """Bring database, static files and configuration up to date. Raises CannotStartError; safe to repeat."""
    check_paths()
    check_not_running()
    check_ports()
    programs.log_directory().mkdir(parents=True, exist_ok=True)
    _protect_files()
    try:
        with contextlib.nullcontext() if bundled_redis.is_configured() else epochs.alone():
            release(say)
            _seed()
    except (DatabaseUnreachableError, OperationalError) as error:
        raise CannotStartError(str(error)) from error
    _write_configuration()


def check_paths() -> None:
    """Raises CannotStartError for paths that supervisor's configuration format cannot express."""
    for path in (str(settings.DATA_DIR), str(settings.BASE_DIR), sys.executable):
        if any(sign in path for sign in ("%", " #", " ;", '"', "\n")):
            raise CannotStartError(
                f"Move it, or set AIINFRA_DATA_DIR. This path contains an unsupported character: {path}"
            )


def check_not_running() -> None:
    """Raises CannotStartError if the product is already running, or has not stopped completely."""
    try:
        running = control.find_supervisor(settings.DATA_DIR)
    except control.NotRunningError:
        return
    except control.ControlError as error:
        raise CannotStartError(str(error)) from error
    if running.is_stopping:
        left = ", ".join(sorted(running.programs)) or "the supervisor"
        raise CannotStartError(
            f"aiinfra is still stopping in {settings.DATA_DIR} ({left}). `manage.py stop` waits until it has stopped."
        )
    raise CannotStartError(
        f"aiinfra is already running in {settings.DATA_DIR}. `manage.py status` shows it, `manage.py stop` stops it."
    )


def check_ports() -> None:
    """Raises CannotStartError naming a port that is already in use."""
    wanted = [(bind_host(), settings.PORT, "the web server", "PORT")]
    if not bundled_redis.is_configured():
        wanted.append(("127.0.0.1", bundled_redis.own_port(), "Redis (PORT + 1)", "PORT"))
    if programs.runs_sandbox():
        wanted.append(("127.0.0.1", settings.SANDBOX_PORT, "the sandbox provider", "SANDBOX_PORT"))
    for host, port, user, variable in wanted:
        if obstacle := _obstacle(host, port):
            raise CannotStartError(f"Port {port} on {host} for {user} {obstacle.format(variable=variable)}")


def become_supervisor() -> NoReturn:
    """Replace this process, so that Ctrl-C and signals reach the supervisor itself."""
    connections.close_all()
    sys.stdout.flush()
    os.chdir(settings.BASE_DIR)
    os.execv(  # noqa: S606 - no shell is wanted
        sys.executable, [sys.executable, "-m", "supervisor.supervisord", "-n", "-c", str(_configuration_path())]
    )


def _obstacle(host: str, port: int) -> str:
    """Why a server cannot listen there, and what to change; "" if it can."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
    except PermissionError:
        return "needs more privileges than this user has. Choose one above 1023 with {variable}=..."
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return "is in use by another program. Choose another with {variable}=..."
        return f"cannot be used: {error.strerror}. Is BIND an address of this machine?"
    return ""


def _protect_files() -> None:
    try:
        private_files.protect()
    except OSError as error:
        raise CannotStartError(f"Other users can read {error.filename}, and this user cannot change that.") from error


def _seed() -> None:
    """Create demo accounts only if no one has created an organization yet, and only where they are allowed."""
    if not Organization.objects.exists() and not demo_rules.obstacles():
        with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
            call_command("seed_demo")
            call_command("demo_history", "demo", per_day=60)
    demo.set_passwords()


def _write_configuration() -> None:
    try:
        if not bundled_redis.is_configured():
            directory, port = bundled_redis.own_directory(), bundled_redis.own_port()
            bundled_redis.write_configuration(port, directory, settings.REDIS_PASSWORD)
        _configuration_path().write_text(programs.configuration(), encoding="utf-8")
        addresses.save()
    except (bundled_redis.NoRedisError, PermissionError) as error:
        raise CannotStartError(str(error)) from error


def _configuration_path() -> Path:
    return Path(settings.DATA_DIR) / CONFIGURATION
