"""Shifts the clock of this Python process. The product's programs load it through `sitecustomize`."""

import time
from datetime import timedelta
from pathlib import Path

from django.utils import timezone

from tests.support.processes import ROOT


def environment(by_s: int, directory: Path) -> dict[str, str]:
    """The environment in which every Python process has a clock that is off by `by_s` seconds."""
    start = f"from tests.hosts.wrong_clock import set_clock\n\nset_clock({by_s})\n"
    (directory / "sitecustomize.py").write_text(start, encoding="utf-8")
    return {"PYTHONPATH": f"{directory}:{ROOT}"}


def set_clock(by_s: int) -> None:
    """Shift both functions with which the product reads the clock."""
    read, now = time.time, timezone.now
    time.time = lambda: read() + by_s
    timezone.now = lambda: now() + timedelta(seconds=by_s)  # type: ignore[assignment]
