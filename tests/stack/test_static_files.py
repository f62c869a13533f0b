import os
import shutil
from pathlib import Path

import pytest
from pytest_django.fixtures import Settings

from aiinfra.stack import static_files


@pytest.fixture
def source(settings: Settings, tmp_path: Path) -> Path:
    """The only static file of this installation."""
    settings.DATA_DIR, settings.STATIC_ROOT = tmp_path / "data", tmp_path / "data" / "static"
    settings.STATICFILES_DIRS = [tmp_path / "source"]
    settings.STATICFILES_FINDERS = ["django.contrib.staticfiles.finders.FileSystemFinder"]
    settings.DATA_DIR.mkdir()
    settings.STATICFILES_DIRS[0].mkdir()
    file = Path(tmp_path / "source" / "app.css")
    file.write_text("a {}")
    return file


@pytest.fixture
def collected(source: Path, settings: Settings) -> Path:
    """The collected copy, marked so that collecting it again is detected."""
    static_files.collect()
    copy = Path(settings.STATIC_ROOT) / "app.css"
    assert copy.read_text() == source.read_text()
    copy.write_text("mark")
    os.utime(copy, (0, 0))
    return copy


def test_unchanged_files_are_not_collected_again(collected: Path) -> None:
    static_files.collect()
    assert collected.read_text() == "mark"


def test_a_changed_file_is_collected(source: Path, collected: Path) -> None:
    source.write_text("a { color: red }")
    static_files.collect()
    assert collected.read_text() == "a { color: red }"


def test_a_new_file_is_collected(source: Path, collected: Path) -> None:
    source.with_name("new.css").write_text("b {}")
    static_files.collect()
    assert collected.with_name("new.css").exists()


def test_files_of_another_storage_are_collected(collected: Path, settings: Settings) -> None:
    settings.STORAGES = {"staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"}}
    static_files.collect()
    assert collected.with_name("staticfiles.json").exists()


def test_deleted_files_are_collected(collected: Path) -> None:
    shutil.rmtree(collected.parent)
    static_files.collect()
    assert collected.exists()


def test_an_interrupted_collection_is_repeated(source: Path, collected: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source.write_text("a { color: red }")
    with monkeypatch.context() as patch:
        patch.setattr(static_files, "call_command", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            static_files.collect()
    os.utime(source, (1, 1))
    static_files.collect()
    assert collected.read_text() == "a { color: red }"
