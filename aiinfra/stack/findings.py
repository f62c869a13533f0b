"""Findings of the doctor command."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How serious a finding is."""

    OK = "ok"
    NOTE = "note"
    FAILED = "FAILED"


@dataclass(frozen=True)
class Finding:
    """One line of the report."""

    level: Level
    text: str


def judge(is_good: bool, good: str, bad: str) -> Finding:
    """A check that passes or fails."""
    return Finding(Level.OK, good) if is_good else Finding(Level.FAILED, bad)
