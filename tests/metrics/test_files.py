"""Metric files are summed over processes, reused, and bounded."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.mmap_dict import mmap_key

from aiinfra.metrics import files, reading, recorded
from aiinfra.metrics.files import BYTES, MetricFiles

RECORD = """
import os, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "aiinfra.settings"
from pathlib import Path
from aiinfra.metrics.files import MetricFiles
MetricFiles(Path(sys.argv[1])).add("counter", {sys.argv[2]: 1})
"""
KEY = mmap_key("aiinfra_things", "aiinfra_things_total", [], [], "Things.")


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(reading, "directory", tmp_path)
    monkeypatch.setattr(files, "_files", MetricFiles(tmp_path))
    return tmp_path


def record_elsewhere(directory: Path) -> None:
    subprocess.run([sys.executable, "-c", RECORD, str(directory), KEY], check=True)


def samples() -> Iterator[tuple[str, dict[str, str], float]]:
    for metric in reading.recorded_metrics({"1": "north"}):
        for each in metric.samples:
            yield each.name, each.labels, each.value


def test_processes_are_summed_and_a_restarted_process_reuses_its_file(directory: Path) -> None:
    files.add("counter", {KEY: 2})
    record_elsewhere(directory)
    record_elsewhere(directory)
    assert list(samples()) == [("aiinfra_things_total", {}, 4)]
    assert sorted(path.name for path in directory.glob("counter_*")) == ["counter_0.db", "counter_1.db"]


@pytest.mark.parametrize("content", [b"\xff" * 4096, (900_000).to_bytes(4, "little") + b"x" * (BYTES["counter"] - 4)])
def test_a_damaged_file_is_reset(directory: Path, content: bytes) -> None:
    (directory / "counter_0.db").write_bytes(content)
    files.add("counter", {KEY: 1})
    assert list(samples()) == [("aiinfra_things_total", {}, 1)]


def test_a_half_full_file_is_reset(directory: Path) -> None:
    filler = {mmap_key("aiinfra_old", "aiinfra_old_total", ["n"], [str(n)], "x" * 900): 1.0 for n in range(600)}
    MetricFiles(directory).add("counter", filler)
    MetricFiles(directory).add("counter", {KEY: 1})  # this process holds the lock and can acquire it again
    assert list(samples()) == [("aiinfra_things_total", {}, 1)]


def test_files_are_preallocated_and_private(directory: Path) -> None:
    files.add("counter", {KEY: 1})
    for kind, size in BYTES.items():
        found = (directory / f"{kind}_0.db").stat()
        assert found.st_blocks * 512 >= size
        assert not found.st_mode & 0o077


def test_recording_never_raises(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(files, "_files", MetricFiles(tmp_path / "file"))
    recorded.lease_lost(1)


@pytest.mark.usefixtures("directory")
def test_the_number_and_length_of_labels_are_limited() -> None:
    counter = recorded._Counter("things", "Things.", ("organization", "model"))
    for number in range(recorded.COUNTER_SERIES_MAX + 50):
        counter.add(1, 1, f"model-{number}" + "x" * 300)
    found = {(labels["organization"], labels["model"]): value for _, labels, value in samples()}
    assert len(found) == recorded.COUNTER_SERIES_MAX + 1
    assert found["other", "other"] == 50
    assert max(len(model) for _, model in found) == recorded.LABEL_MAX


@pytest.mark.usefixtures("directory")
def test_a_histogram_has_every_bucket_and_counts_each_value_once() -> None:
    histogram = recorded._Histogram("thing", "Things.", ("organization",), (1, 2))
    for seconds in (0.5, 1, 1.5, 99):
        histogram.observe(seconds, 1)
    found = [(name, labels.get("le"), value) for name, labels, value in samples()]
    assert found == [
        ("aiinfra_thing_seconds_sum", None, 102),
        ("aiinfra_thing_seconds_bucket", "1.0", 2),
        ("aiinfra_thing_seconds_bucket", "2.0", 3),
        ("aiinfra_thing_seconds_bucket", "+Inf", 4),
        ("aiinfra_thing_seconds_count", None, 4),
    ]
    assert all(labels["organization"] == "north" for _, labels, _ in samples())


@pytest.mark.usefixtures("directory")
def test_dollars_are_exact() -> None:
    recorded.booked((1, "openai", "gpt-4"), 123_456_789, {"input": 7})
    recorded.booked((1, "openai", "gpt-4"), -456_789, {"input": -2})
    found = {name: value for name, _, value in samples()}
    assert found == {
        "aiinfra_spend_dollars_total": 0.123456789,
        "aiinfra_spend_corrections_dollars_total": 0.000456789,
        "aiinfra_tokens_total": 7,
    }
