"""The programs that make up the product, and their supervisor configuration."""

import getpass
import os
import shlex
import sys
from dataclasses import dataclass, field
from pathlib import Path

from django.conf import settings

from aiinfra.configuration.running import PROCESS_ID
from aiinfra.providers.registry import sandbox_url
from aiinfra.stack import bundled_redis
from aiinfra.stack.control import socket_path

WORKER_DRAIN_S = 130
"""A provider call may take 120 s; the rest is for booking it."""
WEB_END_S = 10
"""More than a web server needs to end after its drain."""

LOG_BYTES = 10 * 1024 * 1024
LOG_BACKUPS = 3
BANNER = "banner"

# supervisor gives up on a program after this many failed starts in a row, each a second later than the last.
START_RETRIES = 1000


@dataclass(frozen=True)
class Program:
    """One entry of the configuration."""

    name: str
    command: list[str]
    stop_wait_s: int = 10
    environment: dict[str, str] = field(default_factory=dict)
    is_once: bool = False
    is_on_terminal: bool = True


def programs() -> list[Program]:
    """The programs to run on this machine. Raises NoRedisError."""
    return [*servers(), *product()]


def servers() -> list[Program]:
    """Servers that the product's own programs use: started before them, stopped after them. Raises NoRedisError."""
    redis = [] if bundled_redis.is_configured() else [_redis()]
    return [*redis, _sandbox()] if runs_sandbox() else redis


def product() -> list[Program]:
    """The product's own programs; they stop together."""
    return [
        Program("scheduler", _manage("scheduler")),
        Program("workers", _manage("worker"), stop_wait_s=WORKER_DRAIN_S),
        Program(
            "web",
            [sys.executable, "-m", "gunicorn", "-c", "python:aiinfra.stack.gunicorn", "aiinfra.wsgi"],
            stop_wait_s=settings.WEB_DRAIN_S + WEB_END_S,
            environment={"WEB_LAME_DUCK_S": "0"},  # there is no other host to send clients to
        ),
        Program(BANNER, _manage(BANNER), is_once=True),
    ]


def runs_sandbox() -> bool:
    """Whether to run the sandbox provider: no provider key is set and SANDBOX_URL is not set."""
    return sandbox_url() == f"http://127.0.0.1:{settings.SANDBOX_PORT}"


def configuration() -> str:
    """The text of supervisor's configuration file."""
    socket = socket_path(settings.DATA_DIR)
    sections = [
        _section("supervisord", _supervisord()),
        _section("unix_http_server", {"file": str(socket), "chmod": "0600"}),
        _section(
            "rpcinterface:supervisor",
            {"supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"},
        ),
        _section("rpcinterface:aiinfra", {"supervisor.rpcinterface_factory": "aiinfra.stack.inspection:attach"}),
        _section("rpcinterface:terminal", {"supervisor.rpcinterface_factory": "aiinfra.stack.terminal:attach"}),
    ]
    sections += [_program_section(program, number) for number, program in enumerate(programs())]
    names = ",".join(program.name for program in product())
    sections.append(_section("group:product", {"programs": names, "priority": str(len(sections))}))
    return "\n".join(sections)


def _redis() -> Program:
    command = bundled_redis.server_command(bundled_redis.redis_binary(), bundled_redis.own_directory())
    return Program("redis", command, stop_wait_s=30, is_on_terminal=False)


def _sandbox() -> Program:
    command = [sys.executable, "-m", "aiinfra.providers.sandbox", "--port", str(settings.SANDBOX_PORT)]
    return Program("sandbox", command, environment={"SANDBOX_BOOK": str(settings.DATA_DIR / "sandbox_book.jsonl")})


def _manage(command: str) -> list[str]:
    return [sys.executable, str(settings.BASE_DIR / "manage.py"), command]


def _supervisord() -> dict[str, str]:
    options = {
        "nodaemon": "true",
        "umask": "077",
        "silent": "true",
        "logfile": str(log_directory() / "supervisord.log"),
        "logfile_maxbytes": str(LOG_BYTES),
        "logfile_backups": str(LOG_BACKUPS),
        "loglevel": "info",
        "pidfile": str(settings.DATA_DIR / PROCESS_ID),
        "directory": str(settings.BASE_DIR),
    }
    if os.geteuid() == 0:
        options["user"] = getpass.getuser()  # makes running as root explicit; supervisor warns otherwise
    return options


def log_directory() -> Path:
    """The directory with the log file of each program."""
    return Path(settings.DATA_DIR / "log")


def _program_section(program: Program, number: int) -> str:
    """Signals go to the whole group: a parent that is still starting has no handler yet to forward them."""
    options = {
        "command": shlex.join(program.command),
        "priority": str(number),
        "autorestart": "false" if program.is_once else "true",
        "startsecs": "0" if program.is_once else "1",
        "startretries": str(START_RETRIES),
        "stopwaitsecs": str(program.stop_wait_s),
        "stopasgroup": "true",
        "killasgroup": "true",
        "redirect_stderr": "true",
        "stdout_logfile": str(log_directory() / f"{program.name}.log"),
        "stdout_logfile_maxbytes": str(LOG_BYTES),
        "stdout_logfile_backups": str(LOG_BACKUPS),
        "stdout_events_enabled": "true" if program.is_on_terminal else "false",
    }
    if program.environment:
        options["environment"] = ",".join(f'{name}="{value}"' for name, value in program.environment.items())
    return _section(f"program:{program.name}", options)


def _section(title: str, options: dict[str, str]) -> str:
    lines = [f"{name}={value}" for name, value in options.items()]
    return "\n".join([f"[{title}]", *lines, ""])
