import importlib.util
import os
import shutil
from pathlib import Path

import pytest

from aiinfra.stack import bootstrap


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that needs no packages, installed without uv."""
    root = tmp_path_factory.mktemp("installed")
    (root / "requirements.txt").touch()
    (root / "requirements-dev.txt").write_text("# more\n")
    bootstrap.Installation(root, is_dev=False).install(uv=None)
    return root


@pytest.fixture
def _quickly_made(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Copy the environment instead of making it, which takes seconds of CPU time for its pip."""

    def copy(made: bootstrap.Installation, uv: None) -> None:
        shutil.copytree(installed / ".venv", made._venv, symlinks=True)
        (made._venv / ".installed-requirements").unlink()

    monkeypatch.setattr(bootstrap.Installation, "_make", copy)


@pytest.fixture
def checkout(installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, to be spoiled, on a machine without uv."""
    monkeypatch.setattr(shutil, "which", lambda _: None)
    return Path(shutil.copytree(installed, tmp_path / "checkout", symlinks=True))


def test_what_is_installed_is_left_alone(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bootstrap.main(checkout, [])
    assert capsys.readouterr().out == ""


@pytest.mark.usefixtures("_quickly_made")
def test_an_environment_that_does_not_work_is_made_anew(checkout: Path) -> None:
    python = checkout / ".venv" / "bin" / "python"
    python.unlink()
    bootstrap.main(checkout, [])
    assert os.access(python, os.X_OK)


@pytest.mark.usefixtures("_quickly_made")
def test_an_installation_that_was_interrupted_is_made_anew(checkout: Path) -> None:
    (checkout / ".venv" / "half").touch()
    (checkout / ".venv" / ".installed-requirements").write_text(bootstrap.INCOMPLETE)
    bootstrap.main(checkout, [])
    assert not (checkout / ".venv" / "half").exists()


def test_a_changed_lock_is_installed_into_what_is_there(checkout: Path) -> None:
    (checkout / ".venv" / "kept").touch()
    (checkout / "requirements.txt").write_text("# changed\n")
    bootstrap.main(checkout, [])
    assert (checkout / ".venv" / "kept").exists()
    assert bootstrap.Installation(checkout, is_dev=False).is_current()


def test_a_python_without_venv_is_told_in_a_sentence(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(checkout / ".venv")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(bootstrap.CannotInstallError, match="apt-get install python3-venv"):
        bootstrap.main(checkout, [])
