"""Runs the tests of mutants in copies of the project, never in the working tree."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue

from tests.mutants.operators import Mutant
from tests.mutants.targets import TESTS
from tests.support import template

ROOT = Path(__file__).resolve().parents[2]
LEFT_OUT = shutil.ignore_patterns(".*", "var", "staticfiles", "test-results")
PASSED = 0
"""Exit status of pytest. Any other status means that a test failed, or that the mutant can't even be imported."""
VERDICTS = KILLED, TIMED_OUT, SURVIVED = "killed", "timed out", "survived"
# With a provider's key in .env, tests would call that provider.
NO_KEYS = dict.fromkeys(("OPENAI_API_KEY", "DEEPSEEK_API_KEY", "ANTHROPIC_API_KEY"), "")


@dataclass(frozen=True)
class Limits:
    """Limits of a run: CPU time stops endless loops, even on a busy machine; elapsed time stops endless waits."""

    cpu_s: int = 600
    wall_s: float = 1800.0

    @classmethod
    def after(cls, usual_s: float) -> "Limits":
        """Limits for tests that take `usual_s` seconds on unchanged code."""
        return cls(cpu_s=round(20 + 3 * usual_s), wall_s=120 + 10 * usual_s)


def run_all(mutants: Sequence[Mutant], workers: int, tell: Callable[[Mutant, str], None]) -> list[str]:
    """The verdict on each mutant. Exits if the tests fail on unchanged code."""
    with tempfile.TemporaryDirectory(prefix="aiinfra-mutants-") as scratch:
        copies = _Copies(Path(scratch), workers)
        pool = ThreadPoolExecutor(workers)
        try:
            sets = list(dict.fromkeys(TESTS[mutant.module] for mutant in mutants))
            limits = dict(zip(sets, pool.map(copies.usual, sets), strict=True))
            jobs = [(mutant, limits[TESTS[mutant.module]], tell) for mutant in mutants]
            return list(pool.map(lambda job: copies.verdict_on(*job), jobs))
        finally:
            copies.end()
            pool.shutdown(cancel_futures=True)


@dataclass
class _Copies:
    """One copy of the project per worker."""

    scratch: Path
    number: int
    _free: SimpleQueue[Path] = field(default_factory=SimpleQueue)
    _running: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        for number in range(self.number):
            self._free.put(Path(shutil.copytree(ROOT, self.scratch / str(number), ignore=LEFT_OUT, symlinks=True)))

    def usual(self, tests: tuple[str, ...]) -> Limits:
        """Limits for these tests, based on a run on unchanged code."""
        copy, started = self._free.get(), time.monotonic()
        status = self._test(copy, tests, Limits())
        self._free.put(copy)
        if status != PASSED:
            sys.exit(f"these tests fail without any mutant (pytest ended with {status}): {' '.join(tests)}")
        return Limits.after(time.monotonic() - started)

    def verdict_on(self, mutant: Mutant, limits: Limits, tell: Callable[[Mutant, str], None]) -> str:
        """Run the tests of the mutant's module."""
        copy = self._free.get()
        file = copy / mutant.module
        original = file.read_bytes()
        file.write_text(mutant.source, encoding="utf-8")
        try:
            verdict = verdict_of(self._test(copy, TESTS[mutant.module], limits))
        finally:
            file.write_bytes(original)
            self._free.put(copy)
        tell(mutant, verdict)
        return verdict

    def _test(self, copy: Path, tests: tuple[str, ...], limits: Limits) -> int:
        """Run the copy's tests until the first failure and end all processes that they started."""
        data = copy / "var"
        data.mkdir()
        environment = {**os.environ, **NO_KEYS, "AIINFRA_DATA_DIR": str(data), "DATABASE_URL": f"sqlite:///{data}/db"}
        environment |= {"PYTHONDONTWRITEBYTECODE": "1", "TMPDIR": str(data)}
        environment[template.GIVEN] = str(self.scratch / "template.sqlite3")
        pytest = [sys.executable, "-m", "pytest", "-x", "-q", *tests]
        command = ["/bin/sh", "-c", 'ulimit -t "$0"; exec "$@"', str(limits.cpu_s), *pytest]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        process = subprocess.Popen(command, cwd=copy, env=environment, start_new_session=True, **quiet)
        self._running.add(process.pid)
        try:
            return process.wait(limits.wall_s)
        except subprocess.TimeoutExpired:
            return -signal.SIGKILL
        finally:
            _end(process.pid)
            process.wait()
            self._running.discard(process.pid)
            shutil.rmtree(data, ignore_errors=True)

    def end(self) -> None:
        """End all running tests after Ctrl-C."""
        for group in list(self._running):
            _end(group)


def _end(group: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def verdict_of(status: int) -> str:
    """The verdict for pytest's exit status. An endless loop or wait counts as detected."""
    if status < 0:
        return TIMED_OUT
    return SURVIVED if status == PASSED else KILLED
