"""A revocation in one process is seen by another: with real processes and a database of their own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.processes import ROOT

DJANGO = "import django; django.setup(); import sys, time; from aiinfra.tenants import keys; "
WATCH = DJANGO + (
    "header = 'Bearer ' + sys.argv[1]\n"
    "assert keys.authenticate(header); print('valid', flush=True)\n"
    "while keys.authenticate(header): time.sleep(0.01)\n"
    "print(time.time(), flush=True)"
)
REVOKE = DJANGO + (
    "from aiinfra.tenants.models import ApiKey; from aiinfra.tenants.scope import system_scope\n"
    "with system_scope(): keys.revoke_key(key=ApiKey.objects.get(key_id=sys.argv[1][4:12]), actor='command:x')\n"
    "print(time.time())"
)


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "aiinfra.settings",
        "DATABASE_URL": f"sqlite:///{tmp_path / 'keys.sqlite3'}",
        "AIINFRA_DATA_DIR": str(tmp_path),
    }


def test_another_process_refuses_a_revoked_key_within_a_second(environment: dict[str, str]) -> None:
    def run(*argv: str) -> str:
        command = [sys.executable, *argv]
        return subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True).stdout

    run("manage.py", "migrate", "-v0", "--skip-checks")
    run("manage.py", "createorg", "north", "--skip-checks")
    key = run("manage.py", "createapikey", "north", "--name", "bot", "--role", "viewer", "--skip-checks").split()[-1]
    watcher = subprocess.Popen(
        [sys.executable, "-c", WATCH, key], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        assert watcher.stdout is not None
        assert watcher.stdout.readline() == "valid\n"
        revoked_at = float(run("-c", REVOKE, key))
        refused_at = float(watcher.stdout.readline())
    finally:
        watcher.kill()
        watcher.wait()
    assert refused_at - revoked_at < 1
