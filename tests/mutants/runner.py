"""Running the tests of mutants in copies of the project; the working tree itself is never changed."""

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
PASSED, NOTHING_RAN = 0, {4, 5}
"""Of pytest's exit statuses; any other one means that the tests have noticed."""
VERDICTS = KILLED, TIMED_OUT, SURVIVED = "killed", "timed out", "survived"
# A provider's key in .env would send the tests' calls to that provider.
NO_KEYS = dict.fromkeys(("OPENAI_API_KEY", "DEEPSEEK_API_KEY", "ANTHROPIC_API_KEY"), "")


@dataclass(frozen=True)
class Limits:
    """Of one run: CPU time ends endless loops and holds on a busy machine too; the clock ends endless waits."""

    cpu_s: int = 600
    wall_s: float = 1800.0

    @classmethod
    def after(cls, usual_s: float) -> "Limits":
        """For tests that take so long where nothing is changed."""
        return cls(cpu_s=round(20 + 3 * usual_s), wall_s=120 + 10 * usual_s)


def run_all(mutants: Sequence[Mutant], workers: int, tell: Callable[[Mutant, str], None]) -> list[str]:
    """The verdict on each mutant. Exits where the tests fail without any."""
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
    """The project, once for each worker."""

    scratch: Path
    number: int
    _free: SimpleQueue[Path] = field(default_factory=SimpleQueue)
    _running: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        for number in range(self.number):
            self._free.put(Path(shutil.copytree(ROOT, self.scratch / str(number), ignore=LEFT_OUT, symlinks=True)))

    def usual(self, tests: tuple[str, ...]) -> Limits:
        """The limits for these tests, from how long they take where nothing is changed."""
        copy, started = self._free.get(), time.monotonic()
        status = self._test(copy, tests, Limits())
        self._free.put(copy)
        if status != PASSED:
            sys.exit(f"these tests fail without any mutant (pytest ended with {status}): {' '.join(tests)}")
        return Limits.after(time.monotonic() - started)

    def verdict_on(self, mutant: Mutant, limits: Limits, tell: Callable[[Mutant, str], None]) -> str:
        """What the tests of its module say to a mutant."""
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
        """Run the copy's own tests up to the first that fails; whatever they started is ended with them."""
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
        """Leave nothing running where someone has pressed Ctrl-C."""
        for group in list(self._running):
            _end(group)


def _end(group: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def verdict_of(status: int) -> str:
    """What pytest's exit status says of a mutant; one that loops or waits for ever is noticed as well."""
    if status < 0:
        return TIMED_OUT
    if status in NOTHING_RAN:
        sys.exit("pytest found no tests; see tests/mutants/targets.py")
    return SURVIVED if status == PASSED else KILLED
