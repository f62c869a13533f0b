import importlib.util
import os
import shutil
from pathlib import Path

import pytest

from aiinfra.stack import bootstrap


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project without packages, installed without uv."""
    root = tmp_path_factory.mktemp("installed")
    (root / "requirements.txt").touch()
    (root / "requirements-dev.txt").write_text("# more\n")
    bootstrap.Installation(root, is_dev=False).install(uv=None)
    return root


@pytest.fixture
def _copied_environment(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Copy the virtual environment instead of creating it, which takes seconds of CPU time."""

    def copy(made: bootstrap.Installation, uv: None) -> None:
        shutil.copytree(installed / ".venv", made._venv, symlinks=True)
        (made._venv / ".installed-requirements").unlink()

    monkeypatch.setattr(bootstrap.Installation, "_make", copy)


@pytest.fixture
def checkout(installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the project that the test can damage, on a machine without uv."""
    monkeypatch.setattr(shutil, "which", lambda _: None)
    return Path(shutil.copytree(installed, tmp_path / "checkout", symlinks=True))


def test_a_current_installation_is_not_changed(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bootstrap.main(checkout, [])
    assert capsys.readouterr().out == ""


@pytest.mark.usefixtures("_copied_environment")
def test_a_broken_environment_is_recreated(checkout: Path) -> None:
    python = checkout / ".venv" / "bin" / "python"
    python.unlink()
    bootstrap.main(checkout, [])
    assert os.access(python, os.X_OK)


@pytest.mark.usefixtures("_copied_environment")
def test_an_interrupted_installation_is_repeated_from_scratch(checkout: Path) -> None:
    (checkout / ".venv" / "half").touch()
    (checkout / ".venv" / ".installed-requirements").write_text(bootstrap.INCOMPLETE)
    bootstrap.main(checkout, [])
    assert not (checkout / ".venv" / "half").exists()


def test_changed_requirements_are_installed_into_the_existing_environment(checkout: Path) -> None:
    (checkout / ".venv" / "kept").touch()
    (checkout / "requirements.txt").write_text("# changed\n")
    bootstrap.main(checkout, [])
    assert (checkout / ".venv" / "kept").exists()
    assert bootstrap.Installation(checkout, is_dev=False).is_current()


def test_a_python_without_venv_gives_a_clear_error(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(checkout / ".venv")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(bootstrap.CannotInstallError, match="apt-get install python3-venv"):
        bootstrap.main(checkout, [])
