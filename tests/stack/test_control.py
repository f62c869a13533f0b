import os
import tempfile
from pathlib import Path

import pytest

from aiinfra.stack import control


def test_the_socket_is_in_the_data_directory() -> None:
    assert control.socket_path(Path("/srv/aiinfra/var")) == Path("/srv/aiinfra/var/supervisor.sock")


def test_a_long_path_gives_a_short_private_socket(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    first, second = (control.socket_path(tmp_path / name / ("d" * 120)) for name in ("one", "two"))
    assert first != second
    assert first.parent.parent == tmp_path
    assert first.parent.stat().st_mode & 0o077 == 0


def test_a_directory_of_somebody_else_is_not_trusted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    control.socket_path(tmp_path / ("d" * 120)).parent.rmdir()
    (tmp_path / f"aiinfra-{os.geteuid()}").symlink_to(elsewhere)
    with pytest.raises(PermissionError, match="somebody else"):
        control.socket_path(tmp_path / ("d" * 120))


def test_where_nothing_runs_it_says_how_to_start(tmp_path: Path) -> None:
    assert not control.is_running(tmp_path)
    with pytest.raises(control.NotRunningError, match="make run"):
        control.running_programs(tmp_path)
