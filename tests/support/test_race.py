"""Racers end with the test."""

import os
import subprocess
import sys
from pathlib import Path

import psutil

from tests.support.processes import ROOT, wait_until

RACE = """
import sys, pathlib
from tests.support.race import run_race
run_race("tests.support.sleepers", [("sleep", "")] * 3, pathlib.Path(sys.argv[1]))
"""


def test_racers_end_when_the_process_that_started_them_is_killed(tmp_path: Path) -> None:
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "aiinfra.settings", "AIINFRA_DATA_DIR": str(tmp_path)}
    race = subprocess.Popen([sys.executable, "-c", RACE, str(tmp_path)], cwd=ROOT, env=environment)
    try:
        wait_until(lambda: len(_racers(tmp_path)) == 3, "the racers to start")
        racers = _racers(tmp_path)
        assert all(racer.is_running() for racer in racers)
    finally:
        race.kill()
        race.wait()
    psutil.wait_procs(racers, timeout=60)
    assert not any(racer.is_running() for racer in racers)


def _racers(directory: Path) -> list[psutil.Process]:
    return [psutil.Process(int(said.name.rpartition("-")[2])) for said in directory.glob("*/asleep-*")]
