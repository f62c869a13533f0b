"""Create `.venv` and install the packages of the lock file: `python3 aiinfra/stack/bootstrap.py [--dev]`.

Runs before anything is installed, so it uses only the standard library. Uses uv if it is installed, otherwise venv and
pip.
"""

import hashlib
import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
INCOMPLETE = "incomplete"


class CannotInstallError(Exception):
    """Something is missing on this machine; the message says what to do."""


class Installation:
    """One of the two sets of packages, in the virtual environment of a checkout."""

    def __init__(self, root: Path, *, is_dev: bool) -> None:
        self._root = root
        self._is_dev = is_dev
        self._venv = root / ".venv"
        self._requirements = root / ("requirements-dev.txt" if is_dev else "requirements.txt")
        self._stamp = self._venv / f".installed-{self._requirements.stem}"

    def is_current(self) -> bool:
        """Whether the last run installed exactly this set, and the environment still works."""
        return self._stamp_text() == self._digest() and self._runs("-c", "")

    def install(self, uv: str | None) -> None:
        """Writes the stamp last, so that an interrupted installation starts over. Raises CannotInstallError."""
        is_healthy = self._runs("-c", "") if uv else self._runs("-m", "pip", "--version")
        if not is_healthy or self._stamp_text() == INCOMPLETE:
            self._remove()
            self._make(uv)
        self._stamp.write_text(INCOMPLETE)
        if uv:
            self._call(uv, "sync", "--frozen", "--quiet", *([] if self._is_dev else ["--no-dev", "--inexact"]))
        else:
            self._call(
                *self._python("-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"),
                "--only-binary=:all:",
                "--require-hashes",
                "-r",
                str(self._requirements),
            )
        self._stamp.write_text(self._digest())

    def _make(self, uv: str | None) -> None:
        if uv:
            self._call(uv, "venv", "--quiet", str(self._venv))
        elif importlib.util.find_spec("ensurepip") is None:
            raise CannotInstallError(
                "This Python cannot create virtual environments. On Debian and Ubuntu: apt-get install python3-venv. "
                "Elsewhere: install uv."
            )
        else:
            self._call(sys.executable, "-m", "venv", str(self._venv))

    def _remove(self) -> None:
        if self._venv.is_dir() and not self._venv.is_symlink():
            shutil.rmtree(self._venv)
        else:
            self._venv.unlink(missing_ok=True)

    def _python(self, *arguments: str) -> list[str]:
        return [str(self._venv / "bin" / "python"), *arguments]

    def _runs(self, *arguments: str) -> bool:
        try:
            return subprocess.run(self._python(*arguments), capture_output=True, check=False).returncode == 0  # noqa: S603
        except OSError:
            return False

    def _call(self, *command: str) -> None:
        try:
            subprocess.run(command, cwd=self._root, check=True)  # noqa: S603 - our own words
        except (OSError, subprocess.CalledProcessError):
            raise CannotInstallError(f"Installing failed at: {' '.join(command)}") from None

    def _digest(self) -> str:
        return hashlib.sha256(self._requirements.read_bytes()).hexdigest()

    def _stamp_text(self) -> str:
        try:
            return self._stamp.read_text()
        except OSError:
            return ""


def main(root: Path, arguments: list[str]) -> None:
    """Install unless up to date. The development set includes the other one."""
    everything, running = Installation(root, is_dev=True), Installation(root, is_dev=False)
    if everything.is_current():
        return
    wanted = everything if "--dev" in arguments else running
    if not wanted.is_current():
        print("Installing into .venv (about a minute) ...", flush=True)  # noqa: T201 - a script
        wanted.install(shutil.which("uv"))


if __name__ == "__main__":
    try:
        main(ROOT, sys.argv[1:])
    except CannotInstallError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(130)
